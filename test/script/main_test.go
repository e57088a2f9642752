// Package script tells the project's stories with the real binary, real clients and real packets: one txtar file each
// in testdata. Their verbs are `neargate` and `aws` as users type them, and those of test/verbs.
//
// Stories in testdata/together run at the same time on one daemon, each with a VPC of its own. Those in testdata/alone
// kill the daemon or measure, so they run one after the other.
package script

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/neargate/neargate/test/harness"
	"github.com/neargate/neargate/test/verbs"
)

// speed divides AWS's delays. Higher would be quicker, but what a threshold of a health check means (two checks, half a
// second apart) has to stay larger than what a busy machine takes to do a check.
const speed = 10

var (
	daemon *harness.Daemon
	teller *verbs.Teller
)

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "neargate-script")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	return harness.Main(m, harness.Options{Speed: speed}, func(d *harness.Daemon) error {
		daemon = d
		image, err := harness.AppImage(context.Background())
		if err != nil {
			return err
		}
		layout := filepath.Join(dir, "layout")
		if err := harness.WriteLayout(image, layout); err != nil {
			return err
		}
		app, err := d.Push(context.Background(), image, "app", "v1")
		teller = &verbs.Teller{Daemon: d, Vars: map[string]string{"APP": app, "APP_LAYOUT": layout}}
		return err
	})
}

func TestTogether(t *testing.T) { stories(t, "testdata/together/*.txtar") }

func TestAlone(t *testing.T) { stories(t, "testdata/alone/*.txtar") }

// stories runs scripts; those in alone one after the other.
func stories(t *testing.T, pattern string) {
	harness.Skip(t, daemon)
	files, err := filepath.Glob(pattern)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(pattern, "together") {
		teller.Tell(t, files...)
		return
	}
	for _, f := range files {
		// A group of its own: the script inside is a parallel subtest, and Run returns when it is done.
		t.Run("one", func(t *testing.T) { teller.Tell(t, f) })
	}
}
