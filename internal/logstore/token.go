package logstore

import (
	"strconv"
	"strings"
)

// tokenPrefix marks a sequence token that names a part of a source. AWS ignores sequence tokens since 2023, so a client that sends one of these
// to AWS does no harm, and a client that sends AWS's own is not mistaken for one of ours.
const tokenPrefix = "neargate:"

// Token returns the sequence token by which a shipper of logs makes a batch recognisable: the part from-to of its source.
func Token(source string, from, to int64) string {
	return tokenPrefix + source + ":" + strconv.FormatInt(from, 10) + "-" + strconv.FormatInt(to, 10)
}

// ParseToken reads a token of [Token]; ok is false for any other sequence token.
func ParseToken(s string) (source string, from, to int64, ok bool) {
	rest, ok := strings.CutPrefix(s, tokenPrefix)
	colon := strings.LastIndexByte(rest, ':')
	if !ok || colon < 1 {
		return "", 0, 0, false
	}
	a, b, ok := strings.Cut(rest[colon+1:], "-")
	if !ok {
		return "", 0, 0, false
	}
	from, err := strconv.ParseInt(a, 10, 64)
	if err != nil || from < 0 {
		return "", 0, 0, false
	}
	to, err = strconv.ParseInt(b, 10, 64)
	if err != nil || to < from {
		return "", 0, 0, false
	}
	return rest[:colon], from, to, true
}
