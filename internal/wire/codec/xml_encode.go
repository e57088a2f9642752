package codec

import (
	"encoding/base64"
	"reflect"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/neargate/neargate/internal/awsapi"
)

// AppendXML appends the members of an output, without an element around them. Absent members are left out: an empty
// element would be an empty string to clients. Only lists and maps of the outermost structure are always written.
func (c *Codec) AppendXML(b []byte, out any) []byte {
	return c.appendXMLStruct(b, reflect.ValueOf(out).Elem(), true)
}

// IsEmpty reports whether the structure has no members at all.
func (c *Codec) IsEmpty() bool { return len(c.members) == 0 }

func (c *Codec) appendXMLStruct(b []byte, v reflect.Value, isTop bool) []byte {
	for i := range c.members {
		m := &c.members[i]
		field, ok := m.get(v, i)
		if !ok && (!isTop || m.codec.kind != awsapi.List && m.codec.kind != awsapi.Map) {
			continue
		}
		if m.codec.flat {
			b = m.codec.appendXMLFlat(b, field, m)
			continue
		}
		b = append(b, m.open...)
		b = m.codec.appendXML(b, field)
		b = append(b, m.end...)
	}
	return b
}

// appendXMLFlat writes a list or map that has no element of its own: its entries carry the member's name.
func (c *Codec) appendXMLFlat(b []byte, v reflect.Value, m *member) []byte {
	if c.kind == awsapi.Map {
		for _, key := range sortedKeys(v) {
			b = append(b, m.open...)
			b = c.appendXMLEntry(b, key, v.MapIndex(key))
			b = append(b, m.end...)
		}
		return b
	}
	for i := range v.Len() {
		b = append(b, m.open...)
		b = c.elem.appendXML(b, v.Index(i))
		b = append(b, m.end...)
	}
	return b
}

func (c *Codec) appendXMLEntry(b []byte, key, value reflect.Value) []byte {
	b = append(b, c.names.keyOpen...)
	b = AppendXMLText(b, key.String())
	b = append(b, c.names.keyEnd...)
	b = append(b, c.names.elemOpen...)
	b = c.elem.appendXML(b, value)
	return append(b, c.names.elemEnd...)
}

func (c *Codec) appendXML(b []byte, v reflect.Value) []byte {
	switch c.kind {
	case awsapi.Struct:
		return c.appendXMLStruct(b, v, false)
	case awsapi.List:
		for i := range v.Len() {
			b = append(b, c.names.elemOpen...)
			b = c.elem.appendXML(b, v.Index(i))
			b = append(b, c.names.elemEnd...)
		}
		return b
	case awsapi.Map:
		for _, key := range sortedKeys(v) {
			b = append(b, "<entry>"...)
			b = c.appendXMLEntry(b, key, v.MapIndex(key))
			b = append(b, "</entry>"...)
		}
		return b
	case awsapi.String:
		return AppendXMLText(b, v.String())
	case awsapi.Bool:
		return strconv.AppendBool(b, v.Bool())
	case awsapi.Integer, awsapi.Long:
		return strconv.AppendInt(b, v.Int(), 10)
	case awsapi.Float, awsapi.Double:
		return appendFloat(b, v.Float())
	case awsapi.Timestamp:
		return v.Interface().(time.Time).UTC().AppendFormat(b, "2006-01-02T15:04:05.000Z")
	case awsapi.Blob:
		return base64.StdEncoding.AppendEncode(b, v.Bytes())
	default: // Any
		return AppendXMLText(b, string(v.Bytes()))
	}
}

// AppendXMLText appends a text with what is special in XML escaped. Characters that XML cannot hold are replaced.
func AppendXMLText(b []byte, s string) []byte {
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		var escaped string
		size := 1
		switch {
		case c >= utf8.RuneSelf:
			var r rune
			r, size = utf8.DecodeRuneInString(s[i:])
			if r == utf8.RuneError && size == 1 || r == 0xFFFE || r == 0xFFFF {
				escaped = "\uFFFD"
			}
		case c == '&':
			escaped = "&amp;"
		case c == '<':
			escaped = "&lt;"
		case c == '>':
			escaped = "&gt;"
		case c == '"':
			escaped = "&quot;"
		case c == '\r':
			escaped = "&#xD;"
		case c < 0x20 && c != '\t' && c != '\n':
			escaped = "\uFFFD"
		}
		if escaped != "" {
			b = append(append(b, s[start:i]...), escaped...)
			start = i + size
		}
		i += size
	}
	return append(b, s[start:]...)
}
