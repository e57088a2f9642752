package fake_test

import (
	"testing"

	"github.com/neargate/neargate/internal/container"
	"github.com/neargate/neargate/internal/container/fake"
	"github.com/neargate/neargate/internal/container/runtimetest"
	"github.com/neargate/neargate/internal/container/runtimetest/probe"
)

func TestConformance(t *testing.T) {
	image, err := runtimetest.ProbeImage(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := fake.New(func(p fake.Process) int {
		return probe.Run(probe.Process{Args: p.Args[1:], Env: p.Env, Stdin: p.Stdin, Stdout: p.Stdout, Stderr: p.Stderr, Signals: p.Signals})
	})
	runtimetest.Run(t, runtimetest.Setup{
		Runtime: r, Reopen: func(*testing.T) container.Runtime { return r }, Image: image,
		Spec: func(s container.Spec) container.Spec { return s },
	})
}
