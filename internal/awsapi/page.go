package awsapi

import (
	"cmp"
	"encoding/base64"
	"errors"
	"hash/fnv"
	"slices"
)

// ErrToken is returned for a page token that this operation did not give out. The edge turns it into the service's
// own error when a handler passes it on.
var ErrToken = errors.New("the page token is not valid")

// EncodeToken returns an opaque page token: after says where the next page begins, kind says which list it belongs to
// ("ec2:DescribeVpcs"), so that the token of another operation is refused.
func EncodeToken(kind, after string) string {
	sum := tokenSum(kind, after)
	return base64.RawURLEncoding.EncodeToString(append(sum, after...))
}

// DecodeToken returns what EncodeToken was given, or ErrToken.
func DecodeToken(kind, token string) (string, error) {
	raw, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil || len(raw) < 8 {
		return "", ErrToken
	}
	after := string(raw[8:])
	if !slices.Equal(raw[:8], tokenSum(kind, after)) {
		return "", ErrToken
	}
	return after, nil
}

// tokenSum guards against mix-ups, not against an attacker: a token holds nothing that its caller may not know.
func tokenSum(kind, after string) []byte {
	h := fnv.New64a()
	_, _ = h.Write([]byte(kind + "\x00" + after))
	return h.Sum(nil)
}

// Page returns the page of items that a request asks for, and the token of the next one (nil after the last). Items
// are ordered by key, which has to be unique; the token holds the last key of the page, so items that come and go
// between two requests neither repeat nor hide others. A size that is absent or 0 means all items up to limit;
// limit 0 means no limit. Items is not changed.
func Page[T any](kind string, items []T, key func(T) string, token *string, size *int32, limit int) ([]T, *string, error) {
	var after string
	if Val(token) != "" {
		var err error
		if after, err = DecodeToken(kind, *token); err != nil {
			return nil, nil, err
		}
	}
	sorted := slices.SortedFunc(slices.Values(items), func(a, b T) int { return cmp.Compare(key(a), key(b)) })
	if after != "" {
		first, found := slices.BinarySearchFunc(sorted, after, func(item T, k string) int { return cmp.Compare(key(item), k) })
		if found {
			first++
		}
		sorted = sorted[first:]
	}
	n := len(sorted)
	if asked := int(Val(size)); asked > 0 {
		n = min(n, asked)
	}
	if limit > 0 {
		n = min(n, limit)
	}
	if n == len(sorted) {
		return sorted, nil, nil
	}
	return sorted[:n], Ptr(EncodeToken(kind, key(sorted[n-1]))), nil
}
