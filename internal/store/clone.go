package store

import "reflect"

// cloner replaces what v refers to by copies, v itself having been copied by value. A nil cloner means that a copy by
// value is deep.
type cloner func(v reflect.Value)

// clonerOf prepares the deep copy of a record type once, so that Clone does not look at types again. Unexported
// fields (time.Time, netip.Addr) are copied by value. Interfaces that hold references are shared: records have none.
func clonerOf[T any]() cloner { return clonerFor(reflect.TypeFor[T](), map[reflect.Type]*cloner{}) }

func cloneWith[T any](c cloner, rec *T) *T {
	next := *rec
	if c != nil {
		c(reflect.ValueOf(&next).Elem())
	}
	return &next
}

func clonerFor(typ reflect.Type, seen map[reflect.Type]*cloner) cloner {
	if known, ok := seen[typ]; ok { // a recursive type: look the cloner up when it is needed
		return func(v reflect.Value) {
			if *known != nil {
				(*known)(v)
			}
		}
	}
	self := new(cloner)
	switch typ.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map, reflect.Array, reflect.Struct:
		seen[typ] = self
		defer delete(seen, typ)
	}
	switch typ.Kind() {
	case reflect.Pointer:
		inner := clonerFor(typ.Elem(), seen)
		*self = func(v reflect.Value) {
			if v.IsNil() {
				return
			}
			next := reflect.New(typ.Elem())
			next.Elem().Set(v.Elem())
			if inner != nil {
				inner(next.Elem())
			}
			v.Set(next)
		}
	case reflect.Slice:
		inner := clonerFor(typ.Elem(), seen)
		*self = func(v reflect.Value) {
			if v.IsNil() {
				return
			}
			next := reflect.MakeSlice(typ, v.Len(), v.Len())
			reflect.Copy(next, v)
			if inner != nil {
				for i := range next.Len() {
					inner(next.Index(i))
				}
			}
			v.Set(next)
		}
	case reflect.Array:
		if inner := clonerFor(typ.Elem(), seen); inner != nil {
			*self = func(v reflect.Value) {
				for i := range v.Len() {
					inner(v.Index(i))
				}
			}
		}
	case reflect.Map:
		inner := clonerFor(typ.Elem(), seen)
		*self = func(v reflect.Value) {
			if v.IsNil() {
				return
			}
			next := reflect.MakeMapWithSize(typ, v.Len())
			for it := v.MapRange(); it.Next(); {
				val := it.Value()
				if inner != nil {
					edit := reflect.New(typ.Elem()).Elem()
					edit.Set(val)
					inner(edit)
					val = edit
				}
				next.SetMapIndex(it.Key(), val)
			}
			v.Set(next)
		}
	case reflect.Struct:
		type part struct {
			field int
			clone cloner
		}
		var parts []part
		for i := range typ.NumField() {
			if f := typ.Field(i); f.IsExported() {
				if c := clonerFor(f.Type, seen); c != nil {
					parts = append(parts, part{field: i, clone: c})
				}
			}
		}
		if len(parts) > 0 {
			*self = func(v reflect.Value) {
				for _, p := range parts {
					p.clone(v.Field(p.field))
				}
			}
		}
	}
	return *self
}
