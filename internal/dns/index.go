package dns

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"

	wire "github.com/miekg/dns"
)

// index is a zone in the form that questions are answered from. It is never changed once made.
type index struct {
	records  map[string]Record // by canonical name (lower case, final dot)
	wild     map[string]Record // "*.x." by "x."
	exists   map[string]bool   // names without a record that have one below them: no data, rather than no such name
	owned    []string          // canonical
	domain   string            // canonical PrivateDomain, empty if none
	private  []netip.Prefix
	upstream []netip.AddrPort
}

// newIndex compiles a zone, and refuses one that could not be answered from.
func newIndex(z Zone) (*index, error) {
	ix := &index{
		records: make(map[string]Record, len(z.Records)), wild: map[string]Record{}, exists: map[string]bool{},
		private: z.Private, upstream: z.Upstream,
	}
	for name, rec := range z.Records {
		if rec.CNAME != "" && len(rec.Addresses) > 0 {
			return nil, fmt.Errorf("record %s has both addresses and a canonical name", name)
		}
		canonical, err := canonicalName(strings.TrimPrefix(name, "*."))
		if err != nil {
			return nil, err
		}
		if rec.CNAME != "" {
			if rec.CNAME, err = canonicalName(rec.CNAME); err != nil {
				return nil, err
			}
		}
		if strings.HasPrefix(name, "*.") {
			ix.wild[canonical] = rec
			ix.exists[canonical] = true
		} else {
			ix.records[canonical] = rec
		}
		for parent := parentOf(canonical); parent != ""; parent = parentOf(parent) {
			ix.exists[parent] = true
		}
	}
	for _, suffix := range z.Owned {
		canonical, err := canonicalName(suffix)
		if err != nil {
			return nil, err
		}
		ix.owned = append(ix.owned, canonical)
		ix.exists[canonical] = true
	}
	if z.PrivateDomain != "" {
		canonical, err := canonicalName(z.PrivateDomain)
		if err != nil {
			return nil, err
		}
		ix.domain = canonical
		ix.owned = append(ix.owned, canonical)
		ix.exists[canonical] = true
	}
	return ix, nil
}

func canonicalName(name string) (string, error) {
	if _, ok := wire.IsDomainName(name); !ok || name == "" || name == "." {
		return "", fmt.Errorf("%q is no domain name", name)
	}
	return wire.CanonicalName(name), nil
}

// parentOf returns the name without its first label, empty at the top.
func parentOf(name string) string {
	next, end := wire.NextLabel(name, 0)
	if end {
		return ""
	}
	return name[next:]
}

// find returns the record of a canonical name, explicit, computed or by wildcard.
func (ix *index) find(name string) (Record, bool) {
	if rec, ok := ix.records[name]; ok {
		return rec, true
	}
	if addr, ok := ix.privateAddress(name); ok {
		return Record{Addresses: []netip.Addr{addr}}, true
	}
	if len(ix.wild) == 0 || ix.exists[name] {
		return Record{}, false
	}
	for parent := parentOf(name); parent != ""; parent = parentOf(parent) {
		if rec, ok := ix.wild[parent]; ok {
			return rec, true
		}
		if _, isRecord := ix.records[parent]; isRecord || ix.exists[parent] {
			return Record{}, false // RFC 4592: the closest name that exists decides
		}
	}
	return Record{}, false
}

// privateAddress reads ip-10-0-1-5.<domain> for an address of this VPC.
func (ix *index) privateAddress(name string) (netip.Addr, bool) {
	host, ok := strings.CutSuffix(name, "."+ix.domain)
	if !ok || ix.domain == "" {
		return netip.Addr{}, false
	}
	dashed, ok := strings.CutPrefix(host, "ip-")
	if !ok || strings.Contains(dashed, ".") {
		return netip.Addr{}, false
	}
	addr, err := netip.ParseAddr(strings.ReplaceAll(dashed, "-", "."))
	if err != nil || !addr.Is4() {
		return netip.Addr{}, false
	}
	return addr, ix.isPrivate(addr)
}

func (ix *index) isPrivate(addr netip.Addr) bool {
	for _, p := range ix.private {
		if p.Contains(addr) {
			return true
		}
	}
	return false
}

// pointer answers 5.1.0.10.in-addr.arpa for an address of this VPC.
func (ix *index) pointer(name string) (string, bool) {
	addr, ok := reverseAddress(name)
	if !ok || ix.domain == "" || !ix.isPrivate(addr) {
		return "", false
	}
	return "ip-" + strings.ReplaceAll(addr.String(), ".", "-") + "." + ix.domain, true
}

// reverseAddress reads the address of a complete IPv4 reverse name.
func reverseAddress(name string) (netip.Addr, bool) {
	rest, ok := strings.CutSuffix(name, ".in-addr.arpa.")
	if !ok {
		return netip.Addr{}, false
	}
	labels := strings.Split(rest, ".")
	if len(labels) != 4 {
		return netip.Addr{}, false
	}
	var b [4]byte
	for i, l := range labels {
		n, err := strconv.ParseUint(l, 10, 8)
		if err != nil || strconv.FormatUint(n, 10) != l {
			return netip.Addr{}, false
		}
		b[3-i] = byte(n)
	}
	return netip.AddrFrom4(b), true
}

// zoneOf returns the closest owned suffix above the name, empty if none.
func (ix *index) zoneOf(name string) string {
	best := ""
	for _, suffix := range ix.owned {
		if wire.IsSubDomain(suffix, name) && len(suffix) > len(best) {
			best = suffix
		}
	}
	return best
}

// isLocal reports whether a name that has no record must not be asked for outside: it is owned, or it is the reverse name
// of an address that is nobody else's business.
func (ix *index) isLocal(name string) bool {
	if ix.zoneOf(name) != "" || ix.exists[name] {
		return true
	}
	addr, ok := reverseAddress(name)
	return ok && (addr.IsPrivate() || addr.IsLinkLocalUnicast() || addr.IsLoopback() || ix.isPrivate(addr))
}

// addresses returns the record's addresses of one family, in the order of this answer.
func (rec Record) addresses(v6 bool) []netip.Addr {
	out := make([]netip.Addr, 0, len(rec.Addresses))
	for _, a := range rec.Addresses {
		if a = a.Unmap(); a.Is6() == v6 {
			out = append(out, a)
		}
	}
	if rec.Rotate {
		rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
		out = out[:min(len(out), MaxRotated)]
	}
	return out
}

func (rec Record) ttl() uint32 {
	if rec.TTL == 0 {
		return DefaultTTL
	}
	return rec.TTL
}
