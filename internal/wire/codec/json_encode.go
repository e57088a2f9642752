package codec

import (
	"encoding/base64"
	"math"
	"reflect"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/neargate/neargate/internal/awsapi"
)

// AppendJSON appends an output. Absent members are left out, but lists and maps of the outermost structure are always
// written: clients print null for a list that is not there.
func (c *Codec) AppendJSON(b []byte, out any) []byte {
	v := reflect.ValueOf(out).Elem()
	return c.appendJSONStruct(b, v, true)
}

func (c *Codec) appendJSONStruct(b []byte, v reflect.Value, isTop bool) []byte {
	b = append(b, '{')
	isFirst := true
	for i := range c.members {
		m := &c.members[i]
		field, ok := m.get(v, i)
		if !ok && (!isTop || m.codec.kind != awsapi.List && m.codec.kind != awsapi.Map) {
			continue
		}
		if !isFirst {
			b = append(b, ',')
		}
		isFirst = false
		b = append(b, m.jsonKey...)
		b = m.codec.appendJSON(b, field)
	}
	return append(b, '}')
}

func (c *Codec) appendJSON(b []byte, v reflect.Value) []byte {
	switch c.kind {
	case awsapi.Struct:
		return c.appendJSONStruct(b, v, false)
	case awsapi.List:
		b = append(b, '[')
		for i := range v.Len() {
			if i > 0 {
				b = append(b, ',')
			}
			b = c.elem.appendJSON(b, v.Index(i))
		}
		return append(b, ']')
	case awsapi.Map:
		b = append(b, '{')
		for i, key := range sortedKeys(v) {
			if i > 0 {
				b = append(b, ',')
			}
			b = AppendJSONString(b, key.String())
			b = append(b, ':')
			b = c.elem.appendJSON(b, v.MapIndex(key))
		}
		return append(b, '}')
	case awsapi.String:
		return AppendJSONString(b, v.String())
	case awsapi.Bool:
		return strconv.AppendBool(b, v.Bool())
	case awsapi.Integer, awsapi.Long:
		return strconv.AppendInt(b, v.Int(), 10)
	case awsapi.Float, awsapi.Double:
		return appendFloat(b, v.Float())
	case awsapi.Timestamp:
		return appendEpoch(b, v.Interface().(time.Time))
	case awsapi.Blob:
		b = append(b, '"')
		b = base64.StdEncoding.AppendEncode(b, v.Bytes())
		return append(b, '"')
	default: // Any
		if v.Len() == 0 {
			return append(b, "null"...)
		}
		return append(b, v.Bytes()...)
	}
}

func sortedKeys(m reflect.Value) []reflect.Value {
	keys := m.MapKeys()
	slices.SortFunc(keys, func(a, b reflect.Value) int {
		switch {
		case a.String() < b.String():
			return -1
		case a.String() > b.String():
			return 1
		}
		return 0
	})
	return keys
}

func appendFloat(b []byte, f float64) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return append(b, '0') // JSON has no word for it
	}
	return strconv.AppendFloat(b, f, 'g', -1, 64)
}

// appendEpoch writes seconds since 1970 with milliseconds and never an exponent, which some clients refuse.
func appendEpoch(b []byte, t time.Time) []byte {
	return strconv.AppendFloat(b, float64(t.UnixMilli())/1000, 'f', -1, 64)
}

const hexDigits = "0123456789abcdef"

// AppendJSONString appends a string with quotes.
func AppendJSONString(b []byte, s string) []byte {
	b = append(b, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			if r, size := utf8.DecodeRuneInString(s[i:]); r == utf8.RuneError && size == 1 {
				b = append(append(b, s[start:i]...), "\uFFFD"...)
				i++
				start = i
			} else {
				i += size
			}
			continue
		}
		if c >= 0x20 && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, `\n`...)
		case '\r':
			b = append(b, `\r`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = append(b, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
		}
		i++
		start = i
	}
	b = append(b, s[start:]...)
	return append(b, '"')
}
