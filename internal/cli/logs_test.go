package cli

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/google/go-cmp/cmp"
)

func logEventAt(id, stream string, at time.Time, text string) logtypes.FilteredLogEvent {
	return logtypes.FilteredLogEvent{EventId: &id, LogStreamName: &stream, Message: &text, Timestamp: aws.Int64(at.UnixMilli())}
}

// withoutTime cuts the time off each line: it is the local one.
func withoutTime(text string) (lines []string) {
	for line := range strings.Lines(text) {
		lines = append(lines, strings.TrimSpace(line[len("15:04:05.000"):]))
	}
	return lines
}

func TestLogSources(t *testing.T) {
	for _, c := range []struct {
		name string
		want []string // group and prefix
		fail string
	}{
		{name: "/ecs/web", want: []string{"/ecs/web "}},
		{name: "shop", want: []string{"/ecs/web "}}, // the service writes to the same group
		{name: "web", want: []string{"/ecs/web web/app/"}},
		{name: "aaaa", want: []string{"/ecs/web web/app/" + taskOne}},
		{name: "/ecs/we", fail: `there is no log group, stack, service or task "/ecs/we"`},
	} {
		sources, err := (&Logs{Client: story(), Name: c.name}).sources(t.Context())
		if c.fail != "" {
			if err == nil || !strings.Contains(err.Error(), c.fail) {
				t.Errorf("%s: error %v", c.name, err)
			}
			continue
		}
		var got []string
		for _, s := range sources {
			got = append(got, s.group+" "+s.prefix)
		}
		if diff := cmp.Diff(c.want, got); err != nil || diff != "" {
			t.Errorf("%s: %v %s", c.name, err, diff)
		}
	}
}

func TestLogsInterleavesStreams(t *testing.T) {
	c := story()
	f := c.Logs.(*fakeLogs)
	f.pages = [][]logtypes.FilteredLogEvent{{
		logEventAt("2", "web/app/"+taskTwo, now.Add(time.Second), "second\n"),
		logEventAt("1", "web/app/"+taskOne, now, "first"),
		logEventAt("3", "other", now.Add(2*time.Second), "third"),
	}}
	screen, out := buffer()
	l := &Logs{Client: c, Screen: screen, Name: "/ecs/web", Since: "2h", Filter: "ERROR", Now: func() time.Time { return now }}
	if err := l.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	want := []string{"app/aaaa0000  first", "app/bbbb0000  second", "other  third"}
	if diff := cmp.Diff(want, withoutTime(out.String())); diff != "" {
		t.Error(diff)
	}
	if in := f.asked[0]; *in.StartTime != now.Add(-2*time.Hour).UnixMilli() || *in.FilterPattern != "ERROR" || in.LogStreamNamePrefix != nil {
		t.Errorf("%+v", in)
	}
}

func TestLogsFollows(t *testing.T) {
	c := story()
	f := c.Logs.(*fakeLogs)
	one, two, late := logEventAt("1", "s", now, "one"), logEventAt("2", "s", now.Add(30*time.Second), "two"), logEventAt("3", "other", now.Add(25*time.Second), "late")
	f.pages = [][]logtypes.FilteredLogEvent{{one}, {one, two}, {two, late}}
	ctx, cancel := context.WithCancel(t.Context())
	var text strings.Builder
	screen := Plain(writerFunc(func(p []byte) {
		text.Write(p)
		if strings.Contains(string(p), "late") {
			cancel()
		}
	}))
	l := &Logs{Client: c, Screen: screen, Name: "/ecs/web", Follow: true, Every: tick, Now: func() time.Time { return now }}
	if err := l.Run(ctx); err != nil {
		t.Fatal(err)
	}
	want := []string{"s  one", "s  two", "other  late"}
	if diff := cmp.Diff(want, withoutTime(text.String())); diff != "" {
		t.Error(diff)
	}
	if got := time.UnixMilli(*f.asked[2].StartTime); !got.Equal(now.Add(20 * time.Second)) {
		t.Errorf("asked again since %v", got.Sub(now))
	}
}

type writerFunc func(p []byte)

func (f writerFunc) Write(p []byte) (int, error) { f(p); return len(p), nil }

func TestParseSince(t *testing.T) {
	for text, want := range map[string]time.Time{
		"": now.Add(-10 * time.Minute), "90s": now.Add(-90 * time.Second), "2d": now.AddDate(0, 0, -2), "2026-01-02T03:04:05Z": time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	} {
		if got, err := parseSince(text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"-5m", "x", "-1d", "yesterday"} {
		if _, err := parseSince(text, now); ExitCode(err) != ExitUsage {
			t.Errorf("%q: error %v", text, err)
		}
	}
}
