package store

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/neargate/neargate/internal/fault"
)

// Reader is what the reading verbs of a Table take: a View or a Txn.
type Reader interface {
	tab(def *tableDef) *tableState
	note(d dep)
}

// View is a consistent snapshot of all tables. It costs nothing, never changes and blocks nobody; it keeps the old
// records in memory as long as it is referred to.
type View struct{ s *state }

// Revision returns the store revision that the View shows.
func (v View) Revision() int64 { return v.s.rev }

func (v View) tab(def *tableDef) *tableState { return v.s.tabs[def.ord] }
func (v View) note(dep)                      {}

type depKind uint8

const (
	pointDep depKind = iota // one ID, present or absent
	indexDep                // all records under one value of an index
	listDep                 // the whole table
)

// dep is something a transaction has read, and what it was: an entry (nil: absent) or the root of a tree of entries.
type dep struct {
	def   *tableDef
	kind  depKind
	index int
	key   string
	entry *entry
	root  *node[*entry]
}

func (d *dep) read(tabs []*tableState) (*entry, *node[*entry]) {
	ts := tabs[d.def.ord]
	switch d.kind {
	case pointDep:
		e, _ := ts.recs.get(d.key)
		return e, nil
	case indexDep:
		ids, _ := ts.idx[d.index].get(d.key)
		return nil, ids
	}
	return nil, ts.recs
}

func (d *dep) holds(tabs []*tableState) bool {
	e, root := d.read(tabs)
	return e == d.entry && root == d.root
}

// Txn is a transaction: a snapshot to read from, with the transaction's own writes on top. It belongs to the goroutine
// that runs the function given to Update, and is worthless after it.
type Txn struct {
	db     *DB
	base   *state
	tabs   []*tableState // base.tabs with the writes applied
	deps   []dep
	writes []write
	err    error
	ended  bool
}

// Revision returns the revision of the snapshot, before the transaction's own writes.
func (tx *Txn) Revision() int64 { return tx.base.rev }

func (tx *Txn) tab(def *tableDef) *tableState {
	if tx.ended {
		panic("store: transaction used after its function has returned")
	}
	return tx.tabs[def.ord]
}

func (tx *Txn) note(d dep) {
	if n := len(tx.deps); n > 0 {
		if last := &tx.deps[n-1]; last.def == d.def && last.kind == d.kind && last.index == d.index && last.key == d.key {
			return
		}
	}
	d.entry, d.root = d.read(tx.base.tabs)
	tx.deps = append(tx.deps, d)
}

var sumSeed = maphash.MakeSeed()

func (tx *Txn) put(def *tableDef, id string, rec any) {
	old, had := tx.tab(def).recs.get(id)
	if tx.err != nil {
		return
	}
	if id == "" {
		tx.err = fault.New(fault.Internal, def.name, id, "a record without an ID was put into table %s", def.name)
		return
	}
	doc, err := def.encode(rec)
	if err != nil {
		tx.err = &fault.Fault{Noun: def.name, ID: id, Message: "record cannot be stored", Err: fmt.Errorf("encode %s %s: %w", def.name, id, err)}
		return
	}
	if had {
		if was, err := def.encode(old.val); err == nil && bytes.Equal(was, doc) {
			tx.note(dep{def: def, kind: pointDep, key: id}) // that it is equal has been read
			return
		}
	}
	// The copy is decoded from what is stored, so memory shows what a restart would show, and the caller may go on
	// using rec.
	val, err := def.decode(doc)
	if err != nil {
		tx.err = &fault.Fault{Noun: def.name, ID: id, Message: "record cannot be stored", Err: fmt.Errorf("decode %s %s: %w", def.name, id, err)}
		return
	}
	e := &entry{val: val}
	if tx.db.opts.DetectMutation {
		e.sum = maphash.Bytes(sumSeed, doc)
	}
	tx.write(write{def: def, id: id, e: e, raw: seal(def.schema, doc)})
}

func (tx *Txn) del(def *tableDef, id string) {
	_, had := tx.tab(def).recs.get(id)
	tx.note(dep{def: def, kind: pointDep, key: id})
	if had && tx.err == nil {
		tx.write(write{def: def, id: id})
	}
}

func (tx *Txn) write(w write) {
	if len(tx.writes) == 0 {
		tx.tabs = slices.Clone(tx.tabs)
	}
	tx.writes = append(tx.writes, w)
	tx.tabs[w.def.ord] = w.def.with(tx.tabs[w.def.ord], w.id, w.e)
}
