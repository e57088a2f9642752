package logship

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// bench is a log with everything around it.
type bench struct {
	*cloud
	shipper *Shipper
	cfg     Config
	state   string
	log     *Log
	file    *os.File
}

func newBench(t *testing.T, change func(*Config)) *bench {
	t.Helper()
	s, err := NewShipper(Options{Linger: 5 * time.Millisecond, Settle: 30 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	b := &bench{cloud: newCloud(t), shipper: s, state: filepath.Join(dir, "state", "web.json")}
	b.cfg = Config{
		Container: "web", Spool: filepath.Join(dir, "web.log"), Region: "us-east-1", Group: "/app", Stream: "app/web/1", Remote: b.remote,
	}
	if change != nil {
		change(&b.cfg)
	}
	if b.file, err = os.OpenFile(b.cfg.Spool, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600); err != nil {
		t.Fatal(err)
	}
	b.open()
	t.Cleanup(func() {
		b.log.Close()
		s.Close()
		b.file.Close()
	})
	return b
}

func (b *bench) open() {
	b.t.Helper()
	var err error
	if b.log, err = b.shipper.Open(b.cfg, b.state, plainDial); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) write(text string) {
	b.t.Helper()
	if _, err := b.file.WriteString(text); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) drain() int64 {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return b.log.Drain(ctx)
}

func numbered(from, to int) (lines []string) {
	for i := from; i < to; i++ {
		lines = append(lines, fmt.Sprintf("line %d", i))
	}
	return lines
}

func TestLinesArriveWithTheTimeTheyWereSeen(t *testing.T) {
	b := newBench(t, nil)
	before := time.Now().UnixMilli()
	b.write("one\ntwo\n")
	b.await("two lines", func() bool { return len(b.messages()) == 2 })
	b.write("three\nfo")
	b.await("three lines", func() bool { return len(b.messages()) == 3 })
	b.write("ur\n")
	b.await("four lines", func() bool { return len(b.messages()) == 4 })
	if diff := cmp.Diff([]string{"one", "two", "three", "four"}, b.messages()); diff != "" {
		t.Error(diff)
	}
	for _, e := range b.events("app/web/1") {
		if e.Timestamp < before || e.Timestamp > time.Now().UnixMilli() {
			t.Errorf("time %d of %q", e.Timestamp, e.Message)
		}
	}
	if left := b.drain(); left != 0 {
		t.Errorf("%d bytes left", left)
	}
	want := Counters{Container: "web", Written: 19, Shipped: 19, Events: 4}
	if diff := cmp.Diff(want, b.log.Counters()); diff != "" {
		t.Error(diff)
	}
}

func TestMissingStreamAndGroupAreMade(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Group, c.Stream, c.CreateGroup = "/new", "app/web/1x", true })
	b.write("hello\n")
	b.await("the line", func() bool { return len(b.events("app/web/1x")) == 1 })
	want := []string{"PutLogEvents", "CreateLogStream", "CreateLogGroup", "CreateLogStream", "PutLogEvents"}
	b.mu.Lock()
	defer b.mu.Unlock()
	if diff := cmp.Diff(want, b.calls); diff != "" {
		t.Error(diff)
	}
}

func TestMissingGroupIsNotMadeUnasked(t *testing.T) {
	b := newBench(t, func(c *Config) { c.Group, c.Stream = "/new", "app/web/1x" })
	b.write("hello\n")
	b.await("the error", func() bool { return b.log.Counters().LastError != "" })
	if got := b.log.Counters().LastError; !strings.Contains(got, "CreateLogStream: ResourceNotFoundException") {
		t.Errorf("got %q", got)
	}
}

func TestFailuresLoseNothing(t *testing.T) {
	b := newBench(t, nil)
	b.misbehave("ThrottlingException", "lost", "cut", "lost")
	var want []string
	for i := range 5 {
		lines := numbered(i*100, i*100+100)
		want = append(want, lines...)
		b.write(strings.Join(lines, "\n") + "\n")
	}
	if left := b.drain(); left != 0 {
		t.Errorf("%d bytes left", left)
	}
	if diff := cmp.Diff(want, b.messages()); diff != "" {
		t.Error(diff)
	}
	if c := b.log.Counters(); c.Failures != 4 || c.LastError != "" || c.Events != 500 {
		t.Errorf("counters %+v", c)
	}
}

func TestRestartsAtAnyMomentNeitherLoseNorRepeat(t *testing.T) {
	b := newBench(t, nil)
	rng := rand.New(rand.NewPCG(1, 2))
	var want []string
	for round := range 30 {
		faults := make([]string, rng.IntN(3))
		for i := range faults {
			faults[i] = []string{"", "lost", "cut"}[rng.IntN(3)]
		}
		b.misbehave(faults...)
		lines := numbered(round*50, round*50+50)
		want = append(want, lines...)
		b.write(strings.Join(lines, "\n") + "\n")
		time.Sleep(time.Duration(rng.IntN(20)) * time.Millisecond) // anywhere in the life of a batch
		b.log.Close()
		b.open()
	}
	b.misbehave()
	if left := b.drain(); left != 0 {
		t.Errorf("%d bytes left", left)
	}
	if diff := cmp.Diff(want, b.messages()); diff != "" {
		t.Error(diff)
	}
}

func TestServerThatHasAPartOfABatchGetsTheRest(t *testing.T) {
	b := newBench(t, nil)
	b.log.Close()
	b.write("one\ntwo\nthree\n")
	b.open()
	b.await("all lines", func() bool { return len(b.messages()) == 3 })
	b.log.Close()
	// As if the answer to a batch of two lines had been lost, and the third were to go with them now.
	b.mu.Lock()
	token, _ := ParseToken(b.tokens["app/web/1"])
	token.Start, token.End = 0, 8
	b.tokens["app/web/1"] = token.String()
	b.streams["app/web/1"] = b.streams["app/web/1"][:2]
	b.mu.Unlock()
	s, err := openSpool(b.cfg.Spool, b.state)
	if err != nil {
		t.Fatal(err)
	}
	s.pos.Offset = 0
	if err := s.save(); err != nil {
		t.Fatal(err)
	}
	s.close()
	b.open()
	if left := b.drain(); left != 0 {
		t.Errorf("%d bytes left", left)
	}
	if diff := cmp.Diff([]string{"one", "two", "three"}, b.messages()); diff != "" {
		t.Error(diff)
	}
}

func TestDrainSendsUnfinishedLinesAndIsBounded(t *testing.T) {
	b := newBench(t, nil)
	b.write("whole\nunfinished")
	if left := b.drain(); left != 0 {
		t.Errorf("%d bytes left", left)
	}
	if diff := cmp.Diff([]string{"whole", "unfinished"}, b.messages()); diff != "" {
		t.Error(diff)
	}
	b.setAlways("AccessDeniedException")
	b.write("last\n")
	ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
	defer cancel()
	if left := b.log.Drain(ctx); left != 5 {
		t.Errorf("%d bytes left", left)
	}
	b.setAlways("")
	if left := b.drain(); left != 0 {
		t.Errorf("%d bytes left", left)
	}
}

func TestNewCredentialsAreUsedAtOnce(t *testing.T) {
	b := newBench(t, nil)
	b.setAlways("ExpiredTokenException")
	b.write("hello\n")
	b.await("several failures", func() bool { return b.log.Counters().Failures >= 3 })
	b.setAlways("")
	cfg := b.cfg
	cfg.Remote.SecretAccessKey = "newer"
	if err := b.log.Set(cfg); err != nil {
		t.Fatal(err)
	}
	b.await("the line", func() bool { return len(b.messages()) == 1 })
	cfg.Spool += "x"
	if err := b.log.Set(cfg); err == nil {
		t.Error("the spool was changed")
	}
	cfg.Group = ""
	if err := b.log.Set(cfg); err == nil {
		t.Error("a broken configuration was accepted")
	}
}

func TestBatchThatIsNeverAcceptedIsDroppedAndCounted(t *testing.T) {
	b := newBench(t, nil)
	b.misbehave(slices.Repeat([]string{"InvalidParameterException"}, permanentTries)...)
	b.write("bad\n")
	b.await("the drop", func() bool { return b.log.Counters().Dropped == 4 })
	b.write("good\n")
	b.await("the next line", func() bool { return len(b.messages()) == 1 })
}

func TestNonBlockingDropsTheOldest(t *testing.T) {
	b := newBench(t, func(c *Config) { c.MaxBuffer = 1000 })
	b.setAlways("ServiceUnavailableException")
	lines := numbered(1000, 2000)
	text := strings.Join(lines, "\n") + "\n"
	b.write(text)
	b.await("a drop", func() bool { return b.log.Counters().Dropped > 0 })
	b.setAlways("")
	if left := b.drain(); left != 0 {
		t.Errorf("%d bytes left", left)
	}
	got := b.messages()
	if n := len(strings.Join(got, "\n")) + 1; n > 1000 || n < 950 {
		t.Errorf("%d bytes were kept", n)
	}
	if diff := cmp.Diff(lines[len(lines)-len(got):], got); diff != "" {
		t.Error(diff)
	}
	if c := b.log.Counters(); c.Dropped != int64(len(text)-len(strings.Join(got, "\n"))-1) {
		t.Errorf("dropped %d", c.Dropped)
	}
}

func TestBlockingKeepsAll(t *testing.T) {
	b := newBench(t, func(c *Config) { c.MaxBuffer, c.Blocking = 1000, true })
	b.misbehave("ServiceUnavailableException")
	lines := numbered(0, 1000)
	b.write(strings.Join(lines, "\n") + "\n")
	if left := b.drain(); left != 0 {
		t.Errorf("%d bytes left", left)
	}
	if diff := cmp.Diff(lines, b.messages()); diff != "" {
		t.Error(diff)
	}
}

func TestDiskSpaceIsGivenBack(t *testing.T) {
	b := newBench(t, nil)
	line := strings.Repeat("x", 999) + "\n"
	for range 8 {
		b.write(strings.Repeat(line, 1000))
		if left := b.drain(); left != 0 {
			t.Fatalf("%d bytes left", left)
		}
	}
	var st syscall.Stat_t
	if err := syscall.Stat(b.cfg.Spool, &st); err != nil {
		t.Fatal(err)
	}
	if st.Size != 8_000_000 || st.Blocks*512 > 1<<20 {
		t.Errorf("file of %d bytes takes %d", st.Size, st.Blocks*512)
	}
	if n := len(b.messages()); n != 8000 {
		t.Errorf("%d lines", n)
	}
}

func TestMultilineEventsSettle(t *testing.T) {
	b := newBench(t, func(c *Config) { c.DatetimeFormat = "%Y-%m-%d" })
	b.write("2026-01-01 first\n  at a\n  at b\n2026-01-02 second\n")
	b.await("both events", func() bool { return len(b.messages()) == 2 })
	if diff := cmp.Diff([]string{"2026-01-01 first\n  at a\n  at b\n", "2026-01-02 second\n"}, b.messages()); diff != "" {
		t.Error(diff)
	}
}

func TestSpoolThatBeginsAnew(t *testing.T) {
	b := newBench(t, nil)
	b.write("first\n")
	b.await("the first line", func() bool { return len(b.messages()) == 1 })
	if err := b.file.Truncate(0); err != nil {
		t.Fatal(err)
	}
	b.write("2nd\n")
	b.await("the second line", func() bool { return len(b.messages()) == 2 })
	b.log.Close()
	if err := b.file.Truncate(0); err != nil { // while nobody looks
		t.Fatal(err)
	}
	b.write("3\n")
	b.open()
	b.await("the third line", func() bool { return len(b.messages()) == 3 })
}

func TestOneSpoolIsShippedOnce(t *testing.T) {
	b := newBench(t, nil)
	if l, err := b.shipper.Open(b.cfg, b.state+"2", plainDial); err == nil {
		l.Close()
		t.Error("opened twice")
	}
}

func TestRemoveLeavesNoState(t *testing.T) {
	b := newBench(t, nil)
	b.write("hello\n")
	b.drain()
	b.log.Remove()
	if _, err := os.Stat(b.state); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("state file: %v", err)
	}
	b.open() // for the cleanup
}

func TestStuckLogsDoNotHoldUpOthers(t *testing.T) {
	b := newBench(t, nil)
	b.write("proven\n")
	b.drain()
	for range cap(b.shipper.unproven) { // all that the unproven may have is taken
		if !b.shipper.unproven.acquire(context.Background()) {
			t.Fatal("no slot")
		}
	}
	b.write("next\n")
	b.await("the next line", func() bool { return len(b.messages()) == 2 })
}

func TestMarks(t *testing.T) {
	var m marks
	base := time.UnixMilli(1_000_000)
	if got := m.at(0, base); got != 1_000_000 {
		t.Errorf("nothing known: %d", got)
	}
	m.add(10, base)
	m.add(20, base.Add(5*time.Millisecond))
	m.add(20, base.Add(9*time.Millisecond)) // no growth
	m.add(30, base.Add(-time.Hour))         // the clock went back
	for offset, want := range map[int64]int64{0: 0, 9: 0, 10: 5, 19: 5, 20: 5, 29: 5, 30: 7} {
		if got := m.at(offset, base.Add(7*time.Millisecond)) - 1_000_000; got != want {
			t.Errorf("at %d: %d, want %d", offset, got, want)
		}
	}
	m.forget(15)
	if got := m.at(25, base) - 1_000_000; got != 5 {
		t.Errorf("after forget: %d", got)
	}
	for i := range 10 * maxMarks {
		m.add(int64(100+i), base.Add(time.Duration(10+i)*time.Millisecond))
	}
	if len(m.list) > maxMarks {
		t.Errorf("%d marks", len(m.list))
	}
	last := int64(0)
	for i := range int64(100 + 10*maxMarks) {
		at := m.at(i, base)
		if at < last {
			t.Fatalf("time goes back at %d", i)
		}
		last = at
	}
}
