package pattern

import (
	"strings"
	"testing"
)

func TestMatch(t *testing.T) {
	const access = `127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html HTTP/1.0" 404 1534`
	const event = `{"eventType":"UpdateTrail","sourceIPAddress":"111.111.111.111","arrayKey":["value","another value"],` +
		`"objectList":[{"name":"a","id":1},{"name":"b","id":2}],"SomeObject":null,"ThisFlag":true,"errors":0,"latency":12.5,"a b":{"c":"d"}}`
	tests := []struct {
		pattern, message string
		want             bool
	}{
		{"", "anything", true},
		{"ERROR", "[ERROR 400] BAD REQUEST", true},
		{"ERROR", "error", false},
		{"ERROR ARGUMENTS", "ERROR: bad ARGUMENTS", true},
		{"ERROR ARGUMENTS", "ERROR", false},
		{"?ERROR ?WARN", "WARN x", true},
		{"?ERROR ?WARN", "INFO x", false},
		{`"INTERNAL SERVER ERROR"`, "[INTERNAL SERVER ERROR] 500", true},
		{`"say \"hi\""`, `they say "hi"`, true},
		{`ERROR -EXITING`, "ERROR EXITING", false},
		{`ERROR -EXITING`, "ERROR", true},
		{`ERROR -"bad request"`, "ERROR bad request", false},
		{`%AUTHORIZED (4|5)\d\d%`, "AUTHORIZED 401", true},
		{`-%\d%`, "no digits", true},

		{`{ $.eventType = "UpdateTrail" }`, event, true},
		{`{$.eventType="UpdateTrail"}`, event, true},
		{`{ $.eventType = UpdateTrail }`, event, true},
		{`{ $.eventType != "x" }`, event, true},
		{`{ $.none != "x" }`, event, false},
		{`{ $.sourceIPAddress != 123.123.* }`, event, true},
		{`{ $.sourceIPAddress = 111.* }`, event, true},
		{`{ $.arrayKey[0] = "value" }`, event, true},
		{`{ $.arrayKey[5] = "value" }`, event, false},
		{`{ $.arrayKey[*] = "another*" }`, event, true},
		{`{ $.objectList[1].id = 2 }`, event, true},
		{`{ $.objectList[*].id > 1 }`, event, true},
		{`{ $.objectList[*].id > 2 }`, event, false},
		{`{ $.SomeObject IS NULL }`, event, true},
		{`{ $.SomeOtherObject NOT EXISTS }`, event, true},
		{`{ $.SomeObject NOT EXISTS }`, event, false},
		{`{ $.ThisFlag IS TRUE }`, event, true},
		{`{ $.ThisFlag is false }`, event, false},
		{`{ $.errors = 0 && $.latency >= 12.5 }`, event, true},
		{`{ $.errors = 1 || $.latency < 12.5 }`, event, false},
		{`{ ($.errors = 1 || $.errors = 0) && ($.latency > 1e1) }`, event, true},
		{`{ $.errors = 1 || $.errors = 0 && $.latency > 100 }`, event, false},
		{`{ $['a b'].c = d }`, event, true},
		{`{ $.eventType = %Trail$% }`, event, true},
		{`{ $.objectList = "a" }`, event, false},
		{`{ $.a = 1 }`, "no JSON", false},
		{`{ $.a = 1 }`, ` {"a":1} trailing`, true},
		{`{ $.a = 1 }`, `x {"a":1}`, false},

		{`[ip, id, user, timestamp, request, status_code, size]`, access, true},
		{`[ip, id, user, timestamp, request, status_code]`, access, false},
		{`[ip, user, id, timestamp, request = *.html*, status_code = 4*, bytes]`, access, true},
		{`[ip, user, id, timestamp, request, status_code = 5*, bytes]`, access, false},
		{`[..., status_code = 404, bytes > 1000]`, access, true},
		{`[..., bytes > 2000]`, access, false},
		{`[ip = 127.0.0.1, ...]`, access, true},
		{`[ip=%127\.0\.0\.[1-9]%, ..., status!=200, bytes]`, access, true},
		{`[ip, ..., status = 410 || status = 404, bytes]`, access, true},
		{`[ip, ..., (status >= 400 && status < 500), bytes]`, access, true},
		{`[w1 = "ERROR", w2]`, "ERROR 5", true},
	}
	for _, tt := range tests {
		p, err := Parse(tt.pattern)
		if err != nil {
			t.Errorf("%s: %v", tt.pattern, err)
			continue
		}
		if got := p.Match(tt.message); got != tt.want {
			t.Errorf("%s on %s: %t", tt.pattern, tt.message, got)
		}
	}
}

func TestErrors(t *testing.T) {
	for _, text := range []string{`a.b`, `"open`, `%open`, `%(%`, `- x`, `{`, `{ $.a }`, `{ $ = 1 }`, `{ a = 1 }`, `{ $.a = 1`, `{ $.a > x }`, `{ $.a = 1 } x`, `{ $.a[ = 1 }`,
		`{ $.a IS 1 }`, `{ $.a NOT NULL }`, `{ ($.a = 1 }`, `{ $.a = }`, `[`, `[]`, `[a`, `[a, ..., ...]`, `[a = 1 && b = 1]`, `[a] x`, `[a =]`, strings.Repeat("a", maxPattern+1),
		"{ " + strings.Repeat("(", maxDepth+2) + "$.a=1" + strings.Repeat(")", maxDepth+2) + " }"} {
		if _, err := Parse(text); err == nil {
			t.Errorf("%.60s was taken", text)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{`ERROR -"x" ?y`, `{ $.a[0].b = "c*" && ($.d IS NULL || $.e NOT EXISTS) }`, `[a, b = 4*, ..., c > 5]`, `%\d+%`, `{$['x'].*=1}`} {
		f.Add(s, `{"a":[{"b":"c"}],"d":null}`)
	}
	f.Fuzz(func(t *testing.T, text, message string) {
		if p, err := Parse(text); err == nil {
			p.Match(message)
		}
	})
}
