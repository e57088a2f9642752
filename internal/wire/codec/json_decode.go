package codec

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strconv"
	"time"

	"github.com/neargate/neargate/internal/awsapi"
)

// DecodeJSON reads a JSON body into a structure. A member that the shape does not have is an error unless it is null: it
// is a setting of a newer client that would have no effect. No body at all is an empty structure. The error is an
// *InputError.
func (c *Codec) DecodeJSON(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	if !json.Valid(body) {
		return &InputError{Name: "body", Reason: "is not valid JSON"}
	}
	s := &scanner{data: body}
	if s.peek() != '{' {
		return &InputError{Name: "body", Reason: "has to be a JSON object"}
	}
	return c.decodeJSON(s, reflect.ValueOf(into).Elem())
}

// decodeJSON reads one value. Its errors have no name yet: the structures around it put theirs in front, so that names
// cost nothing as long as all is well.
func (c *Codec) decodeJSON(s *scanner, v reflect.Value) error {
	first := s.peek()
	mismatch := func(want string) error {
		return &InputError{Reason: fmt.Sprintf("%s can not be converted to %s", jsonKind(first), want)}
	}
	switch c.kind {
	case awsapi.Struct:
		if first != '{' {
			return mismatch("a structure")
		}
		return c.decodeJSONStruct(s, v)
	case awsapi.List:
		if first != '[' {
			return mismatch("a list")
		}
		return c.decodeJSONList(s, v)
	case awsapi.Map:
		if first != '{' {
			return mismatch("a map")
		}
		return c.decodeJSONMap(s, v)
	case awsapi.String:
		if first != '"' {
			return mismatch("a String")
		}
		v.SetString(s.str())
	case awsapi.Bool:
		if first != 't' && first != 'f' {
			return mismatch("a Boolean")
		}
		v.SetBool(s.skip()[0] == 't')
	case awsapi.Integer, awsapi.Long:
		if !isNumber(first) {
			return mismatch("an Integer")
		}
		n, err := parseInt(string(s.skip()), v.Type().Bits())
		if err != nil {
			return mismatch("an Integer of " + strconv.Itoa(v.Type().Bits()) + " bits")
		}
		v.SetInt(n)
	case awsapi.Float, awsapi.Double:
		if !isNumber(first) {
			return mismatch("a Double")
		}
		f, err := strconv.ParseFloat(string(s.skip()), 64)
		if err != nil {
			return mismatch("a Double")
		}
		v.SetFloat(f)
	case awsapi.Timestamp:
		t, ok := jsonTime(s, first)
		if !ok {
			return mismatch("a Timestamp")
		}
		v.Set(reflect.ValueOf(t))
	case awsapi.Blob:
		if first != '"' {
			return mismatch("a Blob")
		}
		raw, err := base64.StdEncoding.DecodeString(s.str())
		if err != nil {
			return &InputError{Reason: "is not valid base64"}
		}
		v.SetBytes(raw)
	case awsapi.Any:
		v.SetBytes(bytes.Clone(s.skip()))
	}
	return nil
}

func (c *Codec) decodeJSONStruct(s *scanner, v reflect.Value) error {
	return s.object(func(key string) error {
		if s.peek() == 'n' {
			s.skip()
			return nil
		}
		i, known := c.byName[key]
		if !known {
			return &InputError{Name: key, Reason: "is not known", Unknown: true}
		}
		m := &c.members[i]
		return inside(key, m.set(v.Field(i), func(field reflect.Value) error { return m.codec.decodeJSON(s, field) }))
	})
}

// inside puts the name of a structure's member in front of the name in an error.
func inside(name string, err error) error {
	if err == nil {
		return nil
	}
	var bad *InputError
	if errors.As(err, &bad) {
		if bad.Name != "" {
			name += "." + bad.Name
		}
		bad.Name = name
	}
	return err
}

func (c *Codec) decodeJSONList(s *scanner, v reflect.Value) error {
	list := reflect.MakeSlice(c.typ, 0, 4)
	err := s.array(func() error {
		if s.peek() == 'n' {
			s.skip()
			return nil
		}
		elem := reflect.New(c.elem.typ).Elem()
		if err := c.elem.decodeJSON(s, elem); err != nil {
			return err
		}
		list = reflect.Append(list, elem)
		return nil
	})
	v.Set(list)
	return err
}

func (c *Codec) decodeJSONMap(s *scanner, v reflect.Value) error {
	m := reflect.MakeMap(c.typ)
	err := s.object(func(key string) error {
		if s.peek() == 'n' {
			s.skip()
			return nil
		}
		elem := reflect.New(c.elem.typ).Elem()
		if err := c.elem.decodeJSON(s, elem); err != nil {
			return err
		}
		m.SetMapIndex(reflect.ValueOf(key), elem)
		return nil
	})
	v.Set(m)
	return err
}

// jsonTime reads seconds since 1970, or the text form that some clients send.
func jsonTime(s *scanner, first byte) (time.Time, bool) {
	if first == '"' {
		t, err := parseTime(s.str())
		return t, err == nil
	}
	if !isNumber(first) {
		return time.Time{}, false
	}
	return epoch(string(s.skip()))
}

func epoch(text string) (time.Time, bool) {
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || math.Abs(f) > maxEpoch {
		return time.Time{}, false
	}
	// AWS keeps milliseconds; more would be noise of the floating point.
	return time.UnixMilli(int64(math.Round(f * 1000))).UTC(), true
}

// maxEpoch is the end of the year 9999, the last that the text form can hold.
const maxEpoch = 253402300799

func isNumber(c byte) bool { return c == '-' || c >= '0' && c <= '9' }

func parseInt(text string, bits int) (int64, error) {
	if n, err := strconv.ParseInt(text, 10, bits); err == nil {
		return n, nil
	}
	// 1e3 and 2.0 are integers, too.
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= math.Ldexp(1, min(bits-1, 53)) {
		return 0, strconv.ErrRange
	}
	return int64(f), nil
}

func jsonKind(first byte) string {
	switch {
	case first == '"':
		return "STRING_VALUE"
	case first == '{':
		return "START_OBJECT"
	case first == '[':
		return "START_ARRAY"
	case first == 't':
		return "TRUE_VALUE"
	case first == 'f':
		return "FALSE_VALUE"
	}
	return "NUMBER_VALUE"
}
