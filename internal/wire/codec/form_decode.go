package codec

import (
	"encoding/base64"
	"fmt"
	"reflect"
	"strconv"
	"strings"

	"github.com/neargate/neargate/internal/awsapi"
)

// FormStyle says how a protocol names lists in a request.
type FormStyle struct {
	IsFlat bool // Name.1 instead of Name.member.1
}

// QueryStyle is the style of the query protocol.
func QueryStyle() FormStyle { return FormStyle{} }

// EC2Style is the style of EC2.
func EC2Style() FormStyle { return FormStyle{IsFlat: true} }

// DecodeForm reads parameters into a structure. A parameter that the shape does not have is an error: it is a setting
// of a newer client that would have no effect. The error is an *InputError.
func (c *Codec) DecodeForm(form *Form, style FormStyle, into any) error {
	if err := c.decodeForm(form, style, reflect.ValueOf(into).Elem(), ""); err != nil {
		return err
	}
	if name := form.unknown(); name != "" {
		return &InputError{Name: name, Reason: "is not known", Unknown: true}
	}
	return nil
}

func (c *Codec) decodeForm(form *Form, style FormStyle, v reflect.Value, name string) error {
	bad := func(what string) error {
		return &InputError{Name: name, Reason: fmt.Sprintf("'%s' is not %s", form.value, what)}
	}
	switch c.kind {
	case awsapi.Struct:
		return c.decodeFormStruct(form, style, v, name)
	case awsapi.List:
		return c.decodeFormList(form, style, v, name)
	case awsapi.Map:
		return c.decodeFormMap(form, style, v, name)
	case awsapi.String:
		v.SetString(form.value)
	case awsapi.Bool:
		switch strings.ToLower(form.value) {
		case "true":
			v.SetBool(true)
		case "false":
			v.SetBool(false)
		default:
			return bad("a boolean")
		}
	case awsapi.Integer, awsapi.Long:
		n, err := strconv.ParseInt(form.value, 10, v.Type().Bits())
		if err != nil {
			return bad("an integer")
		}
		v.SetInt(n)
	case awsapi.Float, awsapi.Double:
		f, err := strconv.ParseFloat(form.value, 64)
		if err != nil {
			return bad("a number")
		}
		v.SetFloat(f)
	case awsapi.Timestamp:
		t, err := parseTime(form.value)
		if err != nil {
			return bad("a timestamp")
		}
		v.Set(reflect.ValueOf(t))
	case awsapi.Blob:
		raw, err := base64.StdEncoding.DecodeString(form.value)
		if err != nil {
			return bad("base64")
		}
		v.SetBytes(raw)
	case awsapi.Any:
		v.SetBytes([]byte(form.value))
	}
	return nil
}

func (c *Codec) decodeFormStruct(form *Form, style FormStyle, v reflect.Value, name string) error {
	for i := range c.members {
		m := &c.members[i]
		part := form.parts[m.in]
		if part == nil {
			continue
		}
		part.isUsed = true
		if !part.isSet && m.codec.isScalar() {
			continue // "VpcId.1" says nothing about VpcId
		}
		full := m.in
		if name != "" {
			full = name + "." + m.in
		}
		err := m.set(v.Field(i), func(field reflect.Value) error { return m.codec.decodeForm(part, style, field, full) })
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *Codec) isScalar() bool {
	return c.kind != awsapi.Struct && c.kind != awsapi.List && c.kind != awsapi.Map
}

func (c *Codec) decodeFormList(form *Form, style FormStyle, v reflect.Value, name string) error {
	// "Name=" is a list without elements.
	holder := form
	if !style.IsFlat && !c.flat {
		if holder = form.parts[c.names.elem]; holder == nil {
			v.Set(reflect.MakeSlice(c.typ, 0, 0))
			return nil
		}
		holder.isUsed = true
		name += "." + c.names.elem
	}
	parts := holder.numbered()
	list := reflect.MakeSlice(c.typ, len(parts), len(parts))
	for i, part := range parts {
		if err := c.elem.decodeForm(part, style, list.Index(i), name+"."+strconv.Itoa(i+1)); err != nil {
			return err
		}
	}
	v.Set(list)
	return nil
}

func (c *Codec) decodeFormMap(form *Form, style FormStyle, v reflect.Value, name string) error {
	m := reflect.MakeMap(c.typ)
	v.Set(m)
	holder := form
	if !style.IsFlat && !c.flat {
		if holder = form.parts["entry"]; holder == nil {
			return nil
		}
		holder.isUsed = true
		name += ".entry"
	}
	for i, part := range holder.numbered() {
		key := part.Take(c.names.key)
		value := part.parts[c.names.elem]
		if value == nil {
			continue
		}
		value.isUsed = true
		elem := reflect.New(c.elem.typ).Elem()
		if err := c.elem.decodeForm(value, style, elem, name+"."+strconv.Itoa(i+1)); err != nil {
			return err
		}
		m.SetMapIndex(reflect.ValueOf(key), elem)
	}
	return nil
}
