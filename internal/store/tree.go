package store

import "iter"

// node is a persistent AVL tree from string to V: put and del return a new root and leave the old one as it was, so a
// root is a snapshot that costs nothing. A nil root is the empty tree. Two equal roots are the same content.
type node[V any] struct {
	key  string
	val  V
	l, r *node[V]
	n    int32
	h    int8
}

func size[V any](t *node[V]) int {
	if t == nil {
		return 0
	}
	return int(t.n)
}

func height[V any](t *node[V]) int8 {
	if t == nil {
		return 0
	}
	return t.h
}

func join[V any](key string, val V, l, r *node[V]) *node[V] {
	return &node[V]{key: key, val: val, l: l, r: r, n: int32(size(l) + size(r) + 1), h: max(height(l), height(r)) + 1}
}

// balance joins two trees whose heights differ by at most two.
func balance[V any](key string, val V, l, r *node[V]) *node[V] {
	switch d := height(l) - height(r); {
	case d > 1 && height(l.l) >= height(l.r):
		return join(l.key, l.val, l.l, join(key, val, l.r, r))
	case d > 1:
		return join(l.r.key, l.r.val, join(l.key, l.val, l.l, l.r.l), join(key, val, l.r.r, r))
	case d < -1 && height(r.r) >= height(r.l):
		return join(r.key, r.val, join(key, val, l, r.l), r.r)
	case d < -1:
		return join(r.l.key, r.l.val, join(key, val, l, r.l.l), join(r.key, r.val, r.l.r, r.r))
	}
	return join(key, val, l, r)
}

func (t *node[V]) get(key string) (val V, ok bool) {
	for t != nil {
		switch {
		case key < t.key:
			t = t.l
		case key > t.key:
			t = t.r
		default:
			return t.val, true
		}
	}
	return val, false
}

func (t *node[V]) put(key string, val V) *node[V] {
	switch {
	case t == nil:
		return join[V](key, val, nil, nil)
	case key < t.key:
		return balance(t.key, t.val, t.l.put(key, val), t.r)
	case key > t.key:
		return balance(t.key, t.val, t.l, t.r.put(key, val))
	}
	return &node[V]{key: t.key, val: val, l: t.l, r: t.r, n: t.n, h: t.h}
}

func (t *node[V]) del(key string) *node[V] {
	switch {
	case t == nil:
		return nil
	case key < t.key:
		if l := t.l.del(key); l != t.l {
			return balance(t.key, t.val, l, t.r)
		}
		return t
	case key > t.key:
		if r := t.r.del(key); r != t.r {
			return balance(t.key, t.val, t.l, r)
		}
		return t
	case t.l == nil:
		return t.r
	case t.r == nil:
		return t.l
	}
	first := t.r
	for first.l != nil {
		first = first.l
	}
	return balance(first.key, first.val, t.l, t.r.del(first.key))
}

// each yields the nodes whose key is greater than after, in key order.
func (t *node[V]) each(after string, yield func(string, V) bool) bool {
	if t == nil {
		return true
	}
	if t.key > after {
		return t.l.each(after, yield) && yield(t.key, t.val) && t.r.each("", yield)
	}
	return t.r.each(after, yield)
}

// all returns the nodes in key order.
func (t *node[V]) all() iter.Seq2[string, V] {
	return func(yield func(string, V) bool) { t.each("", yield) }
}
