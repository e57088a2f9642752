package awsapi_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/awsapi"
)

func self(s string) string { return s }

func TestPageWalksAll(t *testing.T) {
	items := []string{"d", "a", "c", "b", "e"}
	for size := int32(0); size < 7; size++ {
		var all []string
		var token *string
		for range 10 {
			page, next, err := awsapi.Page("k", items, self, token, &size, 0)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, page...)
			if token = next; token == nil {
				break
			}
		}
		if diff := cmp.Diff([]string{"a", "b", "c", "d", "e"}, all); diff != "" {
			t.Errorf("size %d: %s", size, diff)
		}
	}
}

func TestPageSurvivesChanges(t *testing.T) {
	page, next, err := awsapi.Page("k", []string{"a", "b", "c", "d"}, self, nil, awsapi.Ptr(int32(2)), 0)
	if err != nil || !slices.Equal(page, []string{"a", "b"}) {
		t.Fatal(page, err)
	}
	// b is gone, a2 is new: neither c nor d is repeated or lost.
	page, next, err = awsapi.Page("k", []string{"a", "a2", "c", "d"}, self, next, nil, 0)
	if err != nil || next != nil || !slices.Equal(page, []string{"c", "d"}) {
		t.Fatal(page, next, err)
	}
}

func TestPageLimit(t *testing.T) {
	page, next, err := awsapi.Page("k", []string{"a", "b", "c"}, self, nil, awsapi.Ptr(int32(100)), 2)
	if err != nil || next == nil || len(page) != 2 {
		t.Error(page, next, err)
	}
}

func TestPageRefusesTokens(t *testing.T) {
	for _, token := range []string{"x", "!!", awsapi.EncodeToken("other", "a")} {
		if _, _, err := awsapi.Page("k", []string{"a"}, self, &token, nil, 0); !errors.Is(err, awsapi.ErrToken) {
			t.Errorf("%q: %v", token, err)
		}
	}
	if page, _, err := awsapi.Page("k", []string{"a"}, self, awsapi.Ptr(""), nil, 0); err != nil || len(page) != 1 {
		t.Errorf("an empty token is none: %v %v", page, err)
	}
}

func FuzzToken(f *testing.F) {
	f.Add("kind", "after", "AAAAAAAAAAAA")
	f.Fuzz(func(t *testing.T, kind, after, token string) {
		got, err := awsapi.DecodeToken(kind, awsapi.EncodeToken(kind, after))
		if err != nil || got != after {
			t.Errorf("%q became %q, %v", after, got, err)
		}
		if got, err := awsapi.DecodeToken(kind, token); err == nil && awsapi.EncodeToken(kind, got) != token {
			// Base64 may write the last bits in several ways; the content has to be the same.
			if again, err := awsapi.DecodeToken(kind, awsapi.EncodeToken(kind, got)); err != nil || again != got {
				t.Errorf("token %q", token)
			}
		}
	})
}

func BenchmarkPage(b *testing.B) {
	items := make([]string, 1000)
	for i := range items {
		items[i] = fmt.Sprintf("vpc-%017x", i*7919%1000)
	}
	for b.Loop() {
		if _, _, err := awsapi.Page("k", items, self, nil, awsapi.Ptr(int32(100)), 0); err != nil {
			b.Fatal(err)
		}
	}
}
