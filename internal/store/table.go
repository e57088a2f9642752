package store

import (
	"encoding/json"
	"fmt"
	"iter"
	"slices"
)

// TableSpec describes a table of records of type T, at the place where it is declared (tables.go).
type TableSpec[T any] struct {
	Name    string          // lower-case letters, digits, hyphens; part of the durable key, so it never changes
	Key     func(*T) string // the record's ID; it may hold any character, but is not empty
	Indexes []Index[T]
	Schema  int // version of the JSON form, 1 if not set; raise it when old values need an Upgrade
	// Upgrade brings the JSON of an older schema to the current one. Without it, older records are refused on start.
	Upgrade func(from int, doc []byte) ([]byte, error)
}

// Index finds records by values they hold. Keys returns the values of one record; empty ones are left out. It is
// called with shared records and must be pure.
type Index[T any] struct {
	Name string
	Keys func(*T) []string
}

// One makes an index of a single value per record.
func One[T any](name string, key func(*T) string) Index[T] {
	return Index[T]{Name: name, Keys: func(rec *T) []string { return []string{key(rec)} }}
}

// Many makes an index of any number of values per record.
func Many[T any](name string, keys func(*T) []string) Index[T] {
	return Index[T]{Name: name, Keys: keys}
}

// Table is a typed view of one table. It holds no records: those are in the View or Txn that its verbs take.
type Table[T any] struct {
	db    *DB
	def   *tableDef
	key   func(*T) string
	clone cloner
}

// NewTable declares a table. All tables are declared between Open and Start; a wrong declaration is a defect and panics.
func NewTable[T any](db *DB, spec TableSpec[T]) *Table[T] {
	if !isTableName(spec.Name) || spec.Key == nil {
		panic(fmt.Sprintf("store: table %q needs a name of letters, digits and hyphens, and a Key", spec.Name))
	}
	def := &tableDef{name: spec.Name, schema: max(spec.Schema, 1), upgrade: spec.Upgrade}
	for _, ix := range spec.Indexes {
		if slices.ContainsFunc(def.indexes, func(d indexDef) bool { return d.name == ix.Name }) {
			panic(fmt.Sprintf("store: table %s has two indexes %q", spec.Name, ix.Name))
		}
		def.indexes = append(def.indexes, indexDef{name: ix.Name, keys: func(val any) []string {
			values := ix.Keys(val.(*T))
			if slices.Contains(values, "") {
				values = slices.DeleteFunc(slices.Clone(values), func(v string) bool { return v == "" })
			}
			return values
		}})
	}
	def.decode = func(doc []byte) (any, error) {
		rec := new(T)
		if err := json.Unmarshal(doc, rec); err != nil {
			return nil, err
		}
		return rec, nil
	}
	def.encode = func(val any) ([]byte, error) { return json.Marshal(val) }
	db.declare(def)
	return &Table[T]{db: db, def: def, key: spec.Key, clone: clonerOf[T]()}
}

// Name returns the table's name.
func (t *Table[T]) Name() string { return t.def.name }

// Get returns the record with that ID, and whether there is one.
func (t *Table[T]) Get(r Reader, id string) (*T, bool) {
	e, ok := r.tab(t.def).recs.get(id)
	r.note(dep{def: t.def, kind: pointDep, key: id})
	if !ok {
		return nil, false
	}
	return e.val.(*T), true
}

// Has reports whether there is a record with that ID.
func (t *Table[T]) Has(r Reader, id string) bool {
	_, ok := t.Get(r, id)
	return ok
}

// List returns all records in the order of their IDs, as they are now: later writes of the same transaction do not
// disturb the iteration.
func (t *Table[T]) List(r Reader) iter.Seq[*T] { return t.ListAfter(r, "") }

// ListAfter returns the records whose ID is greater than id, in order: the rest of a paged listing.
func (t *Table[T]) ListAfter(r Reader, id string) iter.Seq[*T] {
	r.note(dep{def: t.def, kind: listDep})
	return t.seq(r.tab(t.def).recs, id)
}

// IDs returns the IDs of all records in order.
func (t *Table[T]) IDs(r Reader) iter.Seq[string] {
	r.note(dep{def: t.def, kind: listDep})
	root := r.tab(t.def).recs
	return func(yield func(string) bool) {
		root.each("", func(id string, _ *entry) bool { return yield(id) })
	}
}

// Len returns the number of records.
func (t *Table[T]) Len(r Reader) int {
	r.note(dep{def: t.def, kind: listDep})
	return size(r.tab(t.def).recs)
}

// By returns the records that have the value in the index, in the order of their IDs.
func (t *Table[T]) By(r Reader, index, value string) iter.Seq[*T] {
	return t.seq(t.ids(r, index, value), "")
}

// LenBy returns the number of records that have the value in the index.
func (t *Table[T]) LenBy(r Reader, index, value string) int { return size(t.ids(r, index, value)) }

// FirstBy returns the record with the smallest ID that has the value in the index: the one, where values are unique.
func (t *Table[T]) FirstBy(r Reader, index, value string) (*T, bool) {
	for rec := range t.By(r, index, value) {
		return rec, true
	}
	return nil, false
}

// Values returns the values of the index that any record has, in order.
func (t *Table[T]) Values(r Reader, index string) iter.Seq[string] {
	r.note(dep{def: t.def, kind: listDep})
	root := r.tab(t.def).idx[t.index(index)]
	return func(yield func(string) bool) {
		root.each("", func(value string, _ *node[*entry]) bool { return yield(value) })
	}
}

// Put writes the record, new or changed. The store keeps a copy. A record that equals the stored one is not written.
// What cannot be written (no ID, no JSON form) makes the transaction fail.
func (t *Table[T]) Put(tx *Txn, rec *T) { tx.put(t.def, t.key(rec), rec) }

// Delete removes the record with that ID, if there is one.
func (t *Table[T]) Delete(tx *Txn, id string) { tx.del(t.def, id) }

// Clone returns a deep copy for editing.
func (t *Table[T]) Clone(rec *T) *T {
	if rec == nil {
		return nil
	}
	return cloneWith(t.clone, rec)
}

// Edit changes a copy of the record with that ID and puts it; it reports whether there is such a record.
func (t *Table[T]) Edit(tx *Txn, id string, change func(*T)) bool {
	rec, ok := t.Get(tx, id)
	if !ok {
		return false
	}
	next := t.Clone(rec)
	change(next)
	t.Put(tx, next)
	return true
}

func (t *Table[T]) index(name string) int {
	i := slices.IndexFunc(t.def.indexes, func(d indexDef) bool { return d.name == name })
	if i < 0 {
		panic(fmt.Sprintf("store: table %s has no index %q", t.def.name, name))
	}
	return i
}

func (t *Table[T]) ids(r Reader, index, value string) *node[*entry] {
	i := t.index(index)
	ids, _ := r.tab(t.def).idx[i].get(value)
	r.note(dep{def: t.def, kind: indexDep, index: i, key: value})
	return ids
}

func (t *Table[T]) seq(root *node[*entry], after string) iter.Seq[*T] {
	return func(yield func(*T) bool) {
		root.each(after, func(_ string, e *entry) bool { return yield(e.val.(*T)) })
	}
}
