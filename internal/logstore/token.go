package logstore

import (
	"fmt"
	"strconv"
	"strings"
)

// A sequence token that names a part of a source is written neargate:<source>:<from>:<to>; the keeper's log shipper (internal/keeper/logship)
// sends it. AWS ignores sequence tokens since 2023, so to AWS it does no harm, and AWS's own tokens are not mistaken for it.
const (
	tokenPrefix = "neargate"
	tokenParts  = 4
)

// Token returns the sequence token of the part from-to of a source. A source has no colon.
func Token(source string, from, to int64) string {
	return fmt.Sprintf("%s:%s:%d:%d", tokenPrefix, source, from, to)
}

// ParseToken reads a token of [Token]; ok is false for any other sequence token.
func ParseToken(s string) (source string, from, to int64, ok bool) {
	parts := strings.Split(s, ":")
	if len(parts) != tokenParts || parts[0] != tokenPrefix || parts[1] == "" {
		return "", 0, 0, false
	}
	from, err := strconv.ParseInt(parts[2], 10, 64)
	if err != nil || from < 0 {
		return "", 0, 0, false
	}
	to, err = strconv.ParseInt(parts[3], 10, 64)
	if err != nil || to < from {
		return "", 0, 0, false
	}
	return parts[1], from, to, true
}
