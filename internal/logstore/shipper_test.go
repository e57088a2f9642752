package logstore_test

import (
	"testing"

	"github.com/neargate/neargate/internal/keeper/logship"
	"github.com/neargate/neargate/internal/logstore"
)

// TestShipperToken: the shipper runs in another process and writes the token itself; a batch that is sent twice is stored once only as long as both
// agree on its form.
func TestShipperToken(t *testing.T) {
	written := logship.Token{Spool: "0123456789abcdef", Start: 5, End: 9}.String()
	source, from, to, ok := logstore.ParseToken(written)
	if !ok || source != "0123456789abcdef" || from != 5 || to != 9 {
		t.Errorf("%s reads as %q %d-%d %t", written, source, from, to, ok)
	}
	if token, ok := logship.ParseToken(logstore.Token("0123456789abcdef", 5, 9)); !ok || token.String() != written {
		t.Errorf("the shipper reads %+v %t", token, ok)
	}
}
