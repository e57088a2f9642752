package awsapi

// Ptr returns a pointer to a copy of v, for an optional field.
func Ptr[T any](v T) *T { return &v }

// Val returns what p points to, the zero value if it is absent.
func Val[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// Or returns what p points to, def if it is absent.
func Or[T any](p *T, def T) T {
	if p == nil {
		return def
	}
	return *p
}

// NonZero returns a pointer to v, nil for the zero value: for output fields that are omitted when empty.
func NonZero[T comparable](v T) *T {
	var zero T
	if v == zero {
		return nil
	}
	return &v
}
