package reconcile

import "context"

// Map returns a source of the keys that each key of src stands for, such as the services of a target group. Several
// keys may stand for one; the queue takes care of that. to is called outside of the store's locks, so it may read it.
func Map[K, L comparable](src Source[K], to func(K) []L) Source[L] {
	return mapped[K, L]{src: src, to: to}
}

type mapped[K, L comparable] struct {
	src Source[K]
	to  func(K) []L
}

// Next waits for keys of the source and returns what they stand for, possibly nothing.
func (m mapped[K, L]) Next(ctx context.Context) (keys []L, full bool, err error) {
	from, full, err := m.src.Next(ctx)
	if err != nil {
		return nil, false, err
	}
	for _, k := range from {
		keys = append(keys, m.to(k)...)
	}
	return keys, full, nil
}
