package health

import (
	"fmt"
	"strconv"
	"strings"
)

// Matcher says which HTTP codes pass: "200", "200,202", "200-299,301".
type Matcher []codeRange

type codeRange struct{ low, high int }

// ParseMatcher reads a matcher; empty means 200.
func ParseMatcher(s string) (Matcher, error) {
	if s == "" {
		s = "200"
	}
	var m Matcher
	for part := range strings.SplitSeq(s, ",") {
		low, high, isRange := strings.Cut(part, "-")
		if !isRange {
			high = low
		}
		r := codeRange{}
		var err error
		if r.low, err = parseCode(low); err == nil {
			r.high, err = parseCode(high)
		}
		if err != nil || r.low > r.high {
			return nil, fmt.Errorf("health check matcher %q: %q is no code between 200 and 599 and no range of them", s, part)
		}
		m = append(m, r)
	}
	return m, nil
}

func parseCode(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil {
		return 0, err
	}
	if len(s) != 3 || n < 200 || n > 599 {
		return 0, strconv.ErrRange
	}
	return n, nil
}

// Matches reports whether the code passes.
func (m Matcher) Matches(code int) bool {
	for _, r := range m {
		if code >= r.low && code <= r.high {
			return true
		}
	}
	return false
}
