package logstore

import "testing"

func FuzzToken(f *testing.F) {
	f.Add("neargate:0123456789abcdef:0:10")
	f.Add("49545295115971876468408574808414755329919666212443258898")
	f.Fuzz(func(t *testing.T, s string) {
		source, from, to, ok := ParseToken(s)
		if !ok {
			return
		}
		s2, from2, to2, ok := ParseToken(Token(source, from, to))
		if !ok || s2 != source || from2 != from || to2 != to {
			t.Errorf("%q does not read the same again", s)
		}
	})
}
