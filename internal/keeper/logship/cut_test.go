package logship

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func texts(events []event) (out []string) {
	for _, e := range events {
		out = append(out, string(e.text))
	}
	return out
}

func TestCut(t *testing.T) {
	long := strings.Repeat("x", MaxEventBytes)
	begins := regexp.MustCompile(`^\[`)
	tests := []struct {
		title    string
		cutter   cutter
		data     string
		want     []string
		consumed int
	}{
		{"lines", cutter{}, "a\nbc\n", []string{"a", "bc"}, 5},
		{"unfinished line", cutter{}, "a\nbc", []string{"a"}, 2},
		{"nothing whole", cutter{}, "abc", nil, 0},
		{"final", cutter{final: true}, "a\nbc", []string{"a", "bc"}, 4},
		{"empty lines are no events", cutter{}, "\n\na\n\n", []string{"a"}, 5},
		{"only empty lines", cutter{}, "\n\n", nil, 2},
		{"carriage returns", cutter{}, "a\r\n\r\nb\r\n", []string{"a", "b"}, 8},
		{"a long line is cut", cutter{}, long + "yz\n", []string{long, "yz"}, len(long) + 3},
		{"exactly as long as allowed", cutter{}, long + "\n", []string{long}, len(long) + 1},
		{"a long line whose end is not there yet", cutter{}, long + "yz", []string{long}, len(long)},
		{"no rune is cut in two", cutter{}, long[1:] + "é\n", []string{long[1:], "é"}, len(long) + 2},
		{"invalid bytes count as what they become", cutter{}, strings.Repeat("\xff", MaxEventBytes/3) + "a\n", []string{strings.Repeat("\xff", MaxEventBytes/3) + "a"}[:0:0], -1},

		{"multiline", cutter{begins: begins}, "[1\n at x\n[2\n", []string{"[1\n at x\n"}, 9},
		{"multiline, settled", cutter{begins: begins, settled: true}, "[1\n at x\n[2\n", []string{"[1\n at x\n", "[2\n"}, 12},
		{"multiline, settled but unfinished", cutter{begins: begins, settled: true}, "[1\n at", nil, 0},
		{"multiline, final", cutter{begins: begins, final: true}, "[1\n at x\n[2", []string{"[1\n at x\n", "[2"}, 11},
		{"multiline, begins in between", cutter{begins: begins}, " at x\n[2\n[3\n", []string{" at x\n", "[2\n"}, 9},
		{"multiline, too long", cutter{begins: begins}, "[1\n" + long[4:] + "\n y\n", []string{"[1\n" + long[4:] + "\n"}, len(long)},
	}
	for _, tt := range tests {
		t.Run(tt.title, func(t *testing.T) {
			events, consumed := tt.cutter.cut([]byte(tt.data))
			if tt.consumed == -1 {
				for _, e := range events {
					if n := effectiveLength(e.text); n > MaxEventBytes {
						t.Errorf("event counts as %d bytes", n)
					}
				}
				if consumed != len(tt.data) {
					t.Errorf("consumed %d of %d", consumed, len(tt.data))
				}
				return
			}
			if diff := cmp.Diff(tt.want, texts(events)); diff != "" {
				t.Error(diff)
			}
			if consumed != tt.consumed {
				t.Errorf("consumed %d, want %d", consumed, tt.consumed)
			}
		})
	}
}

func TestCutKeepsTheLimitsOfABatch(t *testing.T) {
	many := strings.Repeat("a\n", maxBatchEvents+5)
	events, consumed := cutter{}.cut([]byte(many))
	if len(events) != maxBatchEvents || consumed != 2*maxBatchEvents {
		t.Errorf("%d events, %d bytes", len(events), consumed)
	}
	line := strings.Repeat("b", 1000) + "\n"
	events, consumed = cutter{}.cut([]byte(strings.Repeat(line, 2000)))
	if want := maxBatchBytes / (1000 + eventOverhead); len(events) != want || consumed != want*len(line) {
		t.Errorf("%d events, %d bytes, want %d events", len(events), consumed, want)
	}
}

// FuzzCut cuts any bytes in any portions: nothing is lost, nothing is added, limits hold, and the portions do not matter.
func FuzzCut(f *testing.F) {
	f.Add([]byte("a\nbc\n\n[d\xff\r\n e"), uint16(3), false)
	f.Add([]byte("[1\n x\n[2\n"), uint16(1), true)
	f.Fuzz(func(t *testing.T, data []byte, step uint16, multiline bool) {
		c := cutter{}
		if multiline {
			c.begins = regexp.MustCompile(`^\[`)
		}
		collect := func(step int) (out []string) {
			from, have := 0, 0
			for from < len(data) {
				have = min(have+step, len(data))
				c.final = have == len(data)
				events, n := c.cut(data[from:have])
				out = append(out, texts(events)...)
				if n == 0 && c.final {
					t.Fatalf("stuck at %d", from)
				}
				from += n
			}
			return out
		}
		whole := collect(len(data))
		if diff := cmp.Diff(whole, collect(int(step)+1)); diff != "" {
			t.Fatal(diff)
		}
		for _, text := range whole {
			if len(text) == 0 || effectiveLength([]byte(text)) > MaxEventBytes {
				t.Fatalf("event of %d bytes", len(text))
			}
		}
		strip := func(s string) string { return strings.NewReplacer("\n", "", "\r", "").Replace(s) }
		if strip(strings.Join(whole, "")) != strip(string(data)) {
			t.Fatalf("%q became %q", data, whole)
		}
	})
}

func FuzzEncode(f *testing.F) {
	f.Add("g", "s", []byte("hello \"w\\\x00\n\t\xff\u2028é"))
	f.Fuzz(func(t *testing.T, group, stream string, text []byte) {
		body := encodePut(nil, group, stream, "neargate:a:1:2", []event{{text: text, millis: 7}, {text: []byte("x"), millis: 8}})
		var got struct {
			LogGroupName, LogStreamName, SequenceToken string
			LogEvents                                  []struct {
				Timestamp int64
				Message   string
			}
		}
		if err := json.Unmarshal(body, &got); err != nil {
			t.Fatalf("%q: %v", body, err)
		}
		want := string(bytes.ToValidUTF8(text, nil))
		if utf8.Valid(text) && got.LogEvents[0].Message != want || !utf8.Valid(body) || len(got.LogEvents) != 2 || got.LogEvents[1].Timestamp != 8 {
			t.Fatalf("%q became %q", text, got.LogEvents[0].Message)
		}
		if n := len(got.LogEvents[0].Message); n != effectiveLength(text) {
			t.Fatalf("%q counts %d bytes and is sent as %d", text, effectiveLength(text), n)
		}
	})
}

func TestTokenRoundTrip(t *testing.T) {
	for range 100 {
		start := rand.Int64N(1 << 40)
		want := Token{Spool: fmt.Sprintf("%x", rand.Uint64()), Start: start, End: start + 1 + rand.Int64N(1<<20)}
		if got, ok := ParseToken(want.String()); !ok || got != want {
			t.Errorf("%v became %v", want, got)
		}
	}
	for _, s := range []string{"", "49590302", "neargate:a:1", "neargate:a:2:1", "neargate:a:-1:1", "neargate:a:1:2:3", "neargate:a:1:+2", "neargate:a:01:2"} {
		if _, ok := ParseToken(s); ok {
			t.Errorf("%q was accepted", s)
		}
	}
}

func TestDatetimePattern(t *testing.T) {
	tests := []struct{ format, match, other string }{
		{"%Y-%m-%d %H:%M:%S", "2026-01-31 23:59:59 hello", "at 2026-1-3"},
		{"[%b %d, %Y %H:%M:%S]", "[Jan 02, 2026 03:04:05] x", "Jan 02, 2026 03:04:05"},
		{"%d/%B/%y %I:%M %p%%", "02/March/26 11:59 PM%", "02/March/26 13:59 PM%"},
		{"%Y%j %z %Z", "2026366 +0100 CEST", "2026399 +0100 CEST"},
		{"%S%L %f", "59.123 123456", "59123 12345"},
	}
	for _, tt := range tests {
		p, err := DatetimePattern(tt.format)
		if err != nil {
			t.Errorf("%q: %v", tt.format, err)
			continue
		}
		re := regexp.MustCompile(p)
		if !re.MatchString(tt.match) || re.MatchString(tt.other) {
			t.Errorf("%q (%s): %v %v", tt.format, p, re.MatchString(tt.match), re.MatchString(tt.other))
		}
	}
	for _, bad := range []string{"%", "%Q", "a%"} {
		if _, err := DatetimePattern(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
	for day := 1; day <= 366; day++ {
		if !regexp.MustCompile("^" + verbs['j'] + "$").MatchString(fmt.Sprintf("%03d", day)) {
			t.Errorf("day %03d does not match %%j", day)
		}
	}
}
