// Package runtimetest is the conformance suite of container.Runtime: what every implementation must do, as tests.
//
// It also makes images for tests out of nothing (no registry is needed): see [NewImage] and [ProbeBinary]. It holds no
// product code. Start at [Run].
package runtimetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/container"
	"github.com/neargate/neargate/internal/fault"
)

// Setup is what the suite runs against.
type Setup struct {
	Runtime container.Runtime
	// Reopen returns a runtime as a restarted daemon has it: the same containers, nothing remembered.
	Reopen func(t *testing.T) container.Runtime
	// Spec fills in what a container needs on this host (namespace, control group).
	Spec func(s container.Spec) container.Spec
	// Image has the probe as its entry point.
	Image *Image
}

// suite is one run of the tests.
type suite struct {
	Setup
	dir string
	n   atomic.Int64
}

// Run runs the whole suite. The setup's runtime must be empty, and is empty again afterwards.
func Run(t *testing.T, s Setup) {
	x := &suite{Setup: s, dir: t.TempDir()}
	for _, test := range []struct {
		name string
		run  func(t *testing.T, x *suite)
	}{
		{"Import", testImport}, {"ImportFailure", testImportFailure}, {"ImportOnce", testImportOnce}, {"ExitCode", testExitCode},
		{"Log", testLog}, {"Environment", testEnvironment}, {"Signal", testSignal}, {"Kill", testKill}, {"Restart", testRestart},
		{"Exec", testExec}, {"ExecTimeout", testExecTimeout}, {"Group", testGroup}, {"Reopen", testReopen}, {"NotFound", testNotFound},
		{"CreateTwice", testCreateTwice}, {"DeleteTwice", testDeleteTwice}, {"NeverStarted", testNeverStarted},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, x) })
	}
	left, err := s.Runtime.List(t.Context())
	if err != nil || len(left) != 0 {
		t.Errorf("containers left: %v, %v", left, err)
	}
}

func (x *suite) spec(command ...string) container.Spec {
	id := fmt.Sprintf("c%d-%d", os.Getpid(), x.n.Add(1))
	return x.Spec(container.Spec{
		ID: id, Group: "g-" + id, Image: x.Image.Manifest.Digest, Command: command, LogPath: filepath.Join(x.dir, id+".log"),
		Labels: map[string]string{"who": "suite"},
	})
}

// start imports, creates and starts, and deletes at the end of the test.
func (x *suite) start(t *testing.T, s container.Spec) container.Spec {
	t.Helper()
	x.create(t, s)
	if err := x.Runtime.Start(t.Context(), s.ID); err != nil {
		t.Fatal(err)
	}
	return s
}

func (x *suite) create(t *testing.T, s container.Spec) {
	t.Helper()
	if _, err := x.Runtime.Import(t.Context(), x.Image.Manifest, x.Image.Fetch); err != nil {
		t.Fatal(err)
	}
	if err := x.Runtime.Create(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := x.Runtime.Delete(context.Background(), s.ID); err != nil {
			t.Error(err)
		}
	})
}

func (x *suite) wait(t *testing.T, id string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	exit, err := x.Runtime.Wait(ctx, id)
	if err != nil {
		t.Fatal(err)
	}
	if exit.At.IsZero() || exit.OOM {
		t.Errorf("exit is %+v", exit)
	}
	return exit.Code
}

// log deletes the container, which completes its log, and returns that.
func (x *suite) log(t *testing.T, s container.Spec) string {
	t.Helper()
	if err := x.Runtime.Delete(t.Context(), s.ID); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(s.LogPath)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func testImport(t *testing.T, x *suite) {
	ctx := t.Context()
	if _, err := x.Runtime.Image(ctx, x.Image.Manifest.Digest); !fault.IsNotFound(err) {
		t.Errorf("image before its import: %v", err)
	}
	image, err := x.Runtime.Import(ctx, x.Image.Manifest, x.Image.Fetch)
	if err != nil {
		t.Fatal(err)
	}
	if image.Digest != x.Image.Manifest.Digest || image.OS != "linux" || len(image.Entrypoint) == 0 || image.Size == 0 || image.ConfigDigest == "" {
		t.Errorf("image is %+v", image)
	}
	list, err := x.Runtime.Images(ctx)
	if err != nil || len(list) != 1 || list[0].Digest != image.Digest {
		t.Errorf("images are %v, %v", list, err)
	}
	for range 2 {
		if err := x.Runtime.DeleteImage(ctx, image.Digest); err != nil {
			t.Error(err)
		}
	}
	if _, err := x.Runtime.Image(ctx, image.Digest); !fault.IsNotFound(err) {
		t.Errorf("image after its deletion: %v", err)
	}
	if _, err := x.Runtime.Import(ctx, x.Image.Manifest, x.Image.Fetch); err != nil {
		t.Errorf("second import: %v", err)
	}
}

func testImportFailure(t *testing.T, x *suite) {
	image, err := NewImage(ImageConfig{Files: map[string][]byte{"other": []byte("failure")}})
	if err != nil {
		t.Fatal(err)
	}
	cut := errors.New("the network is cut")
	for name, fetch := range map[string]container.Fetch{
		"error": func(context.Context, container.Descriptor) (io.ReadCloser, error) { return nil, cut },
		"wrong content": func(_ context.Context, d container.Descriptor) (io.ReadCloser, error) {
			return io.NopCloser(bytes.NewReader(make([]byte, d.Size))), nil
		},
		"short content": func(context.Context, container.Descriptor) (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader("{")), nil
		},
	} {
		_, err := x.Runtime.Import(t.Context(), image.Manifest, fetch)
		if err == nil || (name == "error" && !errors.Is(err, cut)) {
			t.Errorf("%s: import gave %v", name, err)
		}
	}
	if _, err := x.Runtime.Import(t.Context(), image.Manifest, image.Fetch); err != nil {
		t.Errorf("import after failures: %v", err)
	}
	if err := x.Runtime.DeleteImage(t.Context(), image.Manifest.Digest); err != nil {
		t.Error(err)
	}
}

// Eight imports at a time fetch each blob once.
func testImportOnce(t *testing.T, x *suite) {
	image, err := NewImage(ImageConfig{Files: map[string][]byte{"other": []byte("once")}})
	if err != nil {
		t.Fatal(err)
	}
	var fetched atomic.Int64
	fetch := func(ctx context.Context, d container.Descriptor) (io.ReadCloser, error) {
		fetched.Add(1)
		return image.Fetch(ctx, d)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := x.Runtime.Import(t.Context(), image.Manifest, fetch); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := fetched.Load(); n < 2 || n > 16 {
		t.Errorf("fetched %d times", n)
	}
	if err := x.Runtime.DeleteImage(t.Context(), image.Manifest.Digest); err != nil {
		t.Error(err)
	}
}

func testExitCode(t *testing.T, x *suite) {
	for _, code := range []int{0, 3, 255} {
		s := x.start(t, x.spec("exit", fmt.Sprint(code)))
		if got := x.wait(t, s.ID); got != code {
			t.Errorf("exit code is %d, want %d", got, code)
		}
		status, err := x.Runtime.Status(t.Context(), s.ID)
		if err != nil || status.State != container.Stopped || status.Exit.Code != code {
			t.Errorf("status is %+v, %v", status, err)
		}
	}
}

func testLog(t *testing.T, x *suite) {
	s := x.start(t, x.spec("print", "one", "+", "err", "two", "+", "flood", "20000"))
	x.wait(t, s.ID)
	log := x.log(t, s)
	if !strings.Contains(log, "one\n") || !strings.Contains(log, "two\n") || !strings.Contains(log, "line 19999\n") {
		t.Errorf("log of %d bytes lacks lines", len(log))
	}
}

func testEnvironment(t *testing.T, x *suite) {
	spec := x.spec("env", "FROM_IMAGE", "+", "env", "OWN", "+", "env", "BOTH")
	spec.Env = []string{"OWN=1", "BOTH=spec"}
	s := x.start(t, spec)
	x.wait(t, s.ID)
	if diff := cmp.Diff([]string{"image", "1", "spec"}, lastOf(strings.Fields(x.log(t, s)), 3)); diff != "" {
		t.Error(diff)
	}
}

// lastOf returns the last n.
func lastOf(list []string, n int) []string {
	if len(list) > n {
		return list[len(list)-n:]
	}
	return list
}

func (x *suite) ready(t *testing.T, s container.Spec) {
	t.Helper()
	for {
		if data, _ := os.ReadFile(s.LogPath); bytes.Contains(data, []byte("ready\n")) {
			return
		}
		select {
		case <-t.Context().Done():
			t.Fatal("the probe never got ready")
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func testSignal(t *testing.T, x *suite) {
	s := x.start(t, x.spec("print", "ready", "+", "sleep"))
	x.ready(t, s)
	status, err := x.Runtime.Status(t.Context(), s.ID)
	if err != nil || status.State != container.Running || status.PID == 0 || status.Labels["who"] != "suite" || status.Group != s.Group {
		t.Errorf("status is %+v, %v", status, err)
	}
	if err := x.Runtime.Signal(t.Context(), s.ID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := x.wait(t, s.ID); code != 143 {
		t.Errorf("exit code is %d", code)
	}
	if err := x.Runtime.Signal(t.Context(), s.ID, syscall.SIGTERM); err != nil {
		t.Errorf("signal to a stopped container: %v", err)
	}
}

func testKill(t *testing.T, x *suite) {
	s := x.start(t, x.spec("print", "ready", "+", "stubborn"))
	x.ready(t, s)
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := x.Runtime.Signal(t.Context(), s.ID, signal); err != nil {
			t.Fatal(err)
		}
	}
	if code := x.wait(t, s.ID); code != 137 {
		t.Errorf("exit code is %d", code)
	}
}

func testRestart(t *testing.T, x *suite) {
	s := x.start(t, x.spec("print", "again", "+", "exit", "4"))
	for range 2 {
		if code := x.wait(t, s.ID); code != 4 {
			t.Errorf("exit code is %d", code)
		}
		if err := x.Runtime.Start(t.Context(), s.ID); err != nil {
			t.Fatal(err)
		}
	}
	x.wait(t, s.ID)
	if n := strings.Count(x.log(t, s), "again\n"); n != 3 {
		t.Errorf("ran %d times", n)
	}
}

func testExec(t *testing.T, x *suite) {
	spec := x.spec("print", "ready", "+", "sleep")
	spec.Env = []string{"OWN=1"}
	s := x.start(t, spec)
	x.ready(t, s)
	entry := x.Image.entry()
	var out, errs bytes.Buffer
	code, err := x.Runtime.Exec(t.Context(), s.ID, container.Exec{
		Args: append(entry, "env", "OWN", "+", "err", "oops", "+", "cat", "+", "exit", "5"), Stdin: strings.NewReader("input\n"), Stdout: &out, Stderr: &errs,
	})
	if err != nil || code != 5 {
		t.Errorf("exec gave %d, %v", code, err)
	}
	if diff := cmp.Diff([]string{"1\ninput\n", "oops\n"}, []string{out.String(), errs.String()}); diff != "" {
		t.Error(diff)
	}
	if code, err := x.Runtime.Exec(t.Context(), s.ID, container.Exec{Args: append(entry, "exit", "0")}); err != nil || code != 0 {
		t.Errorf("exec without output gave %d, %v", code, err)
	}
	if strings.Contains(x.log(t, s), "oops") {
		t.Error("output of exec is in the log")
	}
}

func testExecTimeout(t *testing.T, x *suite) {
	s := x.start(t, x.spec("print", "ready", "+", "sleep"))
	x.ready(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := x.Runtime.Exec(ctx, s.ID, container.Exec{Args: append(x.Image.entry(), "stubborn"), Stdout: io.Discard})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("exec gave %v", err)
	}
	if status, err := x.Runtime.Status(t.Context(), s.ID); err != nil || status.State != container.Running {
		t.Errorf("status is %+v, %v", status, err)
	}
}

// Containers of a group come and go one by one, the first one first.
func testGroup(t *testing.T, x *suite) {
	one, two, three := x.spec("print", "ready", "+", "graceful"), x.spec("print", "ready", "+", "graceful"), x.spec("exit", "6")
	two.Group, three.Group = one.Group, one.Group
	x.start(t, one)
	x.start(t, two)
	x.ready(t, one)
	if err := x.Runtime.Delete(t.Context(), one.ID); err != nil {
		t.Fatal(err)
	}
	x.start(t, three)
	if code := x.wait(t, three.ID); code != 6 {
		t.Errorf("third container exited with %d", code)
	}
	x.ready(t, two)
	if err := x.Runtime.Signal(t.Context(), two.ID, syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if code := x.wait(t, two.ID); code != 0 {
		t.Errorf("second container exited with %d", code)
	}
	if err := x.Runtime.Start(t.Context(), two.ID); err != nil {
		t.Errorf("restart in a group: %v", err)
	}
}

func testReopen(t *testing.T, x *suite) {
	running, ended := x.start(t, x.spec("print", "ready", "+", "sleep")), x.start(t, x.spec("exit", "7"))
	x.wait(t, ended.ID)
	x.ready(t, running)
	again := x.Reopen(t)
	list, err := again.List(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	states := map[string]container.State{}
	for _, s := range list {
		states[s.ID] = s.State
	}
	want := map[string]container.State{running.ID: container.Running, ended.ID: container.Stopped}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Error(diff)
	}
	if exit, err := again.Wait(t.Context(), ended.ID); err != nil || exit.Code != 7 {
		t.Errorf("exit is %+v, %v", exit, err)
	}
	if err := again.Signal(t.Context(), running.ID, syscall.SIGTERM); err != nil {
		t.Error(err)
	}
	if exit, err := again.Wait(t.Context(), running.ID); err != nil || exit.Code != 143 {
		t.Errorf("exit is %+v, %v", exit, err)
	}
}

func testNotFound(t *testing.T, x *suite) {
	ctx, missing := t.Context(), "no-such-container"
	_, statusErr := x.Runtime.Status(ctx, missing)
	_, waitErr := x.Runtime.Wait(ctx, missing)
	_, execErr := x.Runtime.Exec(ctx, missing, container.Exec{Args: []string{"x"}})
	spec := x.spec("exit", "0")
	spec.Image = Digest([]byte("nothing"))
	for name, err := range map[string]error{
		"Status": statusErr, "Wait": waitErr, "Exec": execErr, "Start": x.Runtime.Start(ctx, missing),
		"Signal": x.Runtime.Signal(ctx, missing, syscall.SIGTERM), "Create": x.Runtime.Create(ctx, spec),
	} {
		if !fault.IsNotFound(err) {
			t.Errorf("%s gave %v", name, err)
		}
	}
}

func testCreateTwice(t *testing.T, x *suite) {
	s := x.spec("print", "ready", "+", "sleep")
	x.start(t, s)
	if err := x.Runtime.Create(t.Context(), s); fault.KindOf(err) != fault.Exists {
		t.Errorf("second Create gave %v", err)
	}
	if status, err := x.Runtime.Status(t.Context(), s.ID); err != nil || status.State != container.Running {
		t.Errorf("status is %+v, %v", status, err)
	}
}

func testDeleteTwice(t *testing.T, x *suite) {
	s := x.start(t, x.spec("print", "ready", "+", "stubborn"))
	x.ready(t, s)
	for range 2 {
		if err := x.Runtime.Delete(t.Context(), s.ID); err != nil {
			t.Error(err)
		}
	}
	if data, err := os.ReadFile(s.LogPath); err != nil || string(data) == "" {
		t.Errorf("the log is gone: %v", err)
	}
}

func testNeverStarted(t *testing.T, x *suite) {
	s := x.spec("sleep")
	x.create(t, s)
	if status, err := x.Runtime.Status(t.Context(), s.ID); err != nil || status.State != container.Created {
		t.Errorf("status is %+v, %v", status, err)
	}
	if err := x.Runtime.Delete(t.Context(), s.ID); err != nil {
		t.Error(err)
	}
	if _, err := x.Runtime.Status(t.Context(), s.ID); !fault.IsNotFound(err) {
		t.Errorf("status after deletion: %v", err)
	}
}

// entry returns the image's entry point, for Exec.
func (i *Image) entry() []string { return []string{i.Probe} }
