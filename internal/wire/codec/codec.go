// Package codec reads inputs and writes outputs of AWS operations in the protocols json, query and ec2.
//
// A [Codec] is compiled once per type from the shape that the generator wrote; a request then touches no tag and no
// name look-up by reflection. The package knows no HTTP and no service. Start at [Compile].
package codec

import (
	"fmt"
	"reflect"

	"github.com/neargate/neargate/internal/awsapi"
)

// Codec reads and writes the values of one shape.
type Codec struct {
	kind    awsapi.Kind
	typ     reflect.Type // of the value, without the pointer of a field
	members []member     // Struct
	byName  map[string]int
	elem    *Codec // List, Map
	names   elementNames
	flat    bool
}

// member is one field of a structure, at the same index as in the Go type.
type member struct {
	codec     *Codec
	in        string // in a request
	out       string // in an answer
	jsonKey   []byte // "name":
	open      []byte // <name>
	end       []byte // </name>
	isPointer bool
}

// elementNames are the tags of a list's elements or a map's entries.
type elementNames struct {
	elem, key       string
	elemOpen        []byte
	elemEnd         []byte
	keyOpen, keyEnd []byte
}

type compiler struct {
	done map[compileKey]*Codec
}

type compileKey struct {
	shape *awsapi.Shape
	typ   reflect.Type
}

// Compile returns the codec of a shape for values of the Go type that was generated from it. It panics when the two do
// not fit: that is a defect of the generator.
func Compile(shape *awsapi.Shape, typ reflect.Type) *Codec {
	c := compiler{done: map[compileKey]*Codec{}}
	return c.compile(shape, typ)
}

func (cc *compiler) compile(shape *awsapi.Shape, typ reflect.Type) *Codec {
	key := compileKey{shape: shape, typ: typ}
	if c, ok := cc.done[key]; ok {
		return c
	}
	c := &Codec{kind: shape.Kind, typ: typ, flat: shape.Flattened}
	cc.done[key] = c
	switch shape.Kind {
	case awsapi.Struct:
		cc.compileStruct(c, shape, typ)
	case awsapi.List, awsapi.Map:
		c.elem = cc.compile(shape.Elem, typ.Elem())
		c.names = elementNames{
			elem: shape.ElemName, key: shape.KeyName,
			elemOpen: []byte("<" + shape.ElemName + ">"), elemEnd: []byte("</" + shape.ElemName + ">"),
			keyOpen: []byte("<" + shape.KeyName + ">"), keyEnd: []byte("</" + shape.KeyName + ">"),
		}
	}
	return c
}

func (cc *compiler) compileStruct(c *Codec, shape *awsapi.Shape, typ reflect.Type) {
	if typ.Kind() != reflect.Struct || typ.NumField() != len(shape.Members) {
		panic(fmt.Sprintf("codec: shape %s does not fit %s", shape.Name, typ))
	}
	c.members = make([]member, len(shape.Members))
	c.byName = make(map[string]int, len(shape.Members))
	for i := range shape.Members {
		m := &shape.Members[i]
		field := typ.Field(i)
		if field.Name != m.Field {
			panic(fmt.Sprintf("codec: member %s of shape %s does not fit field %s", m.Name, shape.Name, field.Name))
		}
		fieldType, isPointer := field.Type, false
		if fieldType.Kind() == reflect.Pointer {
			fieldType, isPointer = fieldType.Elem(), true
		}
		c.members[i] = member{
			codec: cc.compile(m.Shape, fieldType), in: m.In, out: m.Out, isPointer: isPointer,
			jsonKey: []byte(`"` + m.Out + `":`), open: []byte("<" + m.Out + ">"), end: []byte("</" + m.Out + ">"),
		}
		c.byName[m.In] = i
	}
}

// set makes the field hold what fill writes into a fresh value.
func (m *member) set(field reflect.Value, fill func(reflect.Value) error) error {
	if !m.isPointer {
		return fill(field)
	}
	v := reflect.New(m.codec.typ)
	if err := fill(v.Elem()); err != nil {
		return err
	}
	field.Set(v)
	return nil
}

// get returns the value of a field; false when it is absent.
func (m *member) get(v reflect.Value, i int) (reflect.Value, bool) {
	field := v.Field(i)
	switch field.Kind() {
	case reflect.Pointer:
		if field.IsNil() {
			return field, false
		}
		return field.Elem(), true
	case reflect.Slice, reflect.Map:
		return field, !field.IsNil()
	}
	return field, field.Len() > 0 // an enum
}

// InputError says which part of an input cannot be read.
type InputError struct {
	Name   string // of the member or parameter
	Reason string
	// Unknown is set for a parameter that the operation does not have.
	Unknown bool
}

// Error returns the name and the reason.
func (e *InputError) Error() string { return e.Name + ": " + e.Reason }
