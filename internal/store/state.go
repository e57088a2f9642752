package store

import "slices"

// entry is a record in memory. val is a *T. mod is the revision that wrote it, known once it is durable; it belongs to
// DB.mu. Everything else is immutable, so two equal pointers are the same record unchanged.
type entry struct {
	val any
	mod int64
	sum uint64 // hash of its encoding, if the DB looks for changed records
}

// tableState is the immutable content of one table: records by ID, and for each index the records by ID under each value.
type tableState struct {
	recs *node[*entry]
	idx  []*node[*node[*entry]]
}

// state is the immutable content of all tables.
type state struct {
	rev  int64
	tabs []*tableState
}

// tableDef is a table without its type.
type tableDef struct {
	name    string
	ord     int // place in state.tabs
	indexes []indexDef
	schema  int
	decode  func(raw []byte) (any, error)
	encode  func(val any) ([]byte, error)
	upgrade func(from int, raw []byte) ([]byte, error)
}

type indexDef struct {
	name string
	keys func(val any) []string
}

func (d *tableDef) empty() *tableState {
	return &tableState{idx: make([]*node[*node[*entry]], len(d.indexes))}
}

// with returns the content after e was put under id, or after id was deleted if e is nil.
func (d *tableDef) with(ts *tableState, id string, e *entry) *tableState {
	old, had := ts.recs.get(id)
	if e == nil && !had {
		return ts
	}
	next := &tableState{idx: slices.Clone(ts.idx)}
	if e == nil {
		next.recs = ts.recs.del(id)
	} else {
		next.recs = ts.recs.put(id, e)
	}
	for i, ix := range d.indexes {
		var now []string
		if e != nil {
			now = ix.keys(e.val)
		}
		root := next.idx[i]
		if had {
			for _, value := range ix.keys(old.val) {
				if slices.Contains(now, value) {
					continue
				}
				ids, _ := root.get(value)
				if ids = ids.del(id); ids == nil {
					root = root.del(value)
				} else {
					root = root.put(value, ids)
				}
			}
		}
		for _, value := range now {
			ids, _ := root.get(value)
			root = root.put(value, ids.put(id, e))
		}
		next.idx[i] = root
	}
	return next
}

// write is one change of a transaction; a nil entry deletes.
type write struct {
	def *tableDef
	id  string
	e   *entry
	raw []byte
}

// apply returns the tables after the writes, without changing tabs.
func apply(tabs []*tableState, writes []write) []*tableState {
	tabs = slices.Clone(tabs)
	for _, w := range writes {
		tabs[w.def.ord] = w.def.with(tabs[w.def.ord], w.id, w.e)
	}
	return tabs
}
