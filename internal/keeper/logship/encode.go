package logship

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Token travels as the sequenceToken of PutLogEvents, which CloudWatch Logs has ignored since 2023. It names the bytes of
// the spool that a batch was made from. A batch whose answer was lost is sent again with the same token, so a server that
// remembers each stream's last token can tell it from a new one: lines then arrive exactly once, elsewhere at least once.
type Token struct {
	Spool      string // identifies the spool file
	Start, End int64
}

// String writes the token.
func (t Token) String() string { return fmt.Sprintf("neargate:%s:%d:%d", t.Spool, t.Start, t.End) }

// ParseToken reads a token; ok is false for anything that String did not write.
func ParseToken(s string) (t Token, ok bool) {
	parts := strings.Split(s, ":")
	if len(parts) != 4 || parts[0] != "neargate" {
		return t, false
	}
	var err1, err2 error
	t.Spool = parts[1]
	t.Start, err1 = strconv.ParseInt(parts[2], 10, 64)
	t.End, err2 = strconv.ParseInt(parts[3], 10, 64)
	return t, err1 == nil && err2 == nil && t.Start >= 0 && t.Start <= t.End && t.String() == s
}

// encodePut appends a PutLogEvents request in JSON 1.1. It is written by hand because the general encoder would copy
// every message twice.
func encodePut(dst []byte, group, stream, token string, events []event) []byte {
	dst = append(dst, `{"logGroupName":`...)
	dst = appendString(dst, []byte(group))
	dst = append(dst, `,"logStreamName":`...)
	dst = appendString(dst, []byte(stream))
	dst = append(dst, `,"sequenceToken":`...)
	dst = appendString(dst, []byte(token))
	dst = append(dst, `,"logEvents":[`...)
	for i, e := range events {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"timestamp":`...)
		dst = strconv.AppendInt(dst, e.millis, 10)
		dst = append(dst, `,"message":`...)
		dst = appendString(dst, e.text)
		dst = append(dst, '}')
	}
	return append(dst, "]}"...)
}

const hexDigits = "0123456789abcdef"

// appendString appends text as a JSON string; bytes that are no UTF-8 become U+FFFD.
func appendString(dst, text []byte) []byte {
	dst = append(dst, '"')
	from := 0
	for i := 0; i < len(text); {
		if c := text[i]; c < utf8.RuneSelf {
			if c >= ' ' && c != '"' && c != '\\' {
				i++
				continue
			}
			dst = append(dst, text[from:i]...)
			switch c {
			case '"', '\\':
				dst = append(dst, '\\', c)
			case '\n':
				dst = append(dst, '\\', 'n')
			case '\r':
				dst = append(dst, '\\', 'r')
			case '\t':
				dst = append(dst, '\\', 't')
			default:
				dst = append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
			}
			i++
			from = i
			continue
		}
		r, n := utf8.DecodeRune(text[i:])
		if r == utf8.RuneError && n == 1 {
			dst = append(dst, text[from:i]...)
			dst = append(dst, "\uFFFD"...)
			from = i + 1
		}
		i += n
	}
	dst = append(dst, text[from:]...)
	return append(dst, '"')
}
