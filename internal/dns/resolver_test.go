package dns

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	wire "github.com/miekg/dns"
)

func testZone() Zone {
	many := make([]netip.Addr, 12)
	for i := range many {
		many[i] = netip.AddrFrom4([4]byte{198, 18, 0, byte(10 + i)})
	}
	return Zone{
		PrivateDomain: "ec2.internal",
		Private:       []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16"), netip.MustParsePrefix("100.64.0.0/24")},
		Owned:         []string{"amazonaws.com"},
		Records: map[string]Record{
			"logs.us-east-1.amazonaws.com":               {Addresses: []netip.Addr{netip.MustParseAddr("198.19.0.13")}},
			"Web-1.us-east-1.elb.amazonaws.com":          {Addresses: many, Rotate: true},
			"dual.example.com":                           {Addresses: []netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}, TTL: 5},
			"www.example.com":                            {CNAME: "alias.example.com"},
			"alias.example.com":                          {CNAME: "DUAL.example.com"},
			"dangling.example.com":                       {CNAME: "gone.amazonaws.com"},
			"loop.example.com":                           {CNAME: "pool.example.com"},
			"pool.example.com":                           {CNAME: "loop.example.com"},
			"*.s3.us-east-1.amazonaws.com":               {Addresses: []netip.Addr{netip.MustParseAddr("198.19.0.20")}},
			"taken.s3.us-east-1.amazonaws.com":           {Addresses: []netip.Addr{netip.MustParseAddr("198.19.0.21")}},
			"000000000000.dkr.ecr.us-east-1.example.com": {Addresses: []netip.Addr{netip.MustParseAddr("198.19.0.11")}},
		},
	}
}

func query(t *testing.T, r *Resolver, name string, qtype uint16, via Transport, change func(*wire.Msg)) *wire.Msg {
	t.Helper()
	req := new(wire.Msg)
	req.SetQuestion(name, qtype)
	if change != nil {
		change(req)
	}
	packed, err := req.Pack()
	if err != nil {
		t.Fatal(err)
	}
	resp, later := r.Answer(packed, make([]byte, maxQuery), via)
	if later != nil {
		t.Fatal("wants to ask the upstream")
	}
	if resp == nil {
		return nil
	}
	msg := new(wire.Msg)
	if err := msg.Unpack(resp); err != nil {
		t.Fatal(err)
	}
	if msg.Id != req.Id || !msg.Response || !msg.RecursionAvailable {
		t.Errorf("header %+v", msg.MsgHdr)
	}
	return msg
}

// brief writes an answer down as "RCODE name TYPE data, ... | SOA zone".
func brief(m *wire.Msg) string {
	parts := []string{wire.RcodeToString[m.Rcode]}
	for _, rr := range m.Answer {
		h := rr.Header()
		data := strings.TrimPrefix(rr.String(), h.String())
		parts = append(parts, fmt.Sprintf("%s %d %s %s", h.Name, h.Ttl, wire.TypeToString[h.Rrtype], data))
	}
	for _, rr := range m.Ns {
		parts = append(parts, "SOA "+rr.Header().Name)
	}
	return strings.Join(parts, "; ")
}

func TestAnswers(t *testing.T) {
	r := NewResolver()
	if err := r.Set(testZone()); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name  string
		qtype uint16
		want  string
	}{
		{"logs.us-east-1.amazonaws.com.", wire.TypeA, "NOERROR; logs.us-east-1.amazonaws.com. 60 A 198.19.0.13"},
		{"LOGS.us-EAST-1.amazonaws.com.", wire.TypeA, "NOERROR; LOGS.us-EAST-1.amazonaws.com. 60 A 198.19.0.13"},
		{"logs.us-east-1.amazonaws.com.", wire.TypeAAAA, "NOERROR; SOA amazonaws.com."},
		{"logs.us-east-1.amazonaws.com.", wire.TypeMX, "NOERROR; SOA amazonaws.com."},
		{"us-east-1.amazonaws.com.", wire.TypeA, "NOERROR; SOA amazonaws.com."},
		{"nosuch.us-east-1.amazonaws.com.", wire.TypeA, "NXDOMAIN; SOA amazonaws.com."},
		{"dual.example.com.", wire.TypeA, "NOERROR; dual.example.com. 5 A 192.0.2.1"},
		{"dual.example.com.", wire.TypeAAAA, "NOERROR; dual.example.com. 5 AAAA 2001:db8::1"},
		{"dual.example.com.", wire.TypeANY, "NOERROR; dual.example.com. 5 A 192.0.2.1; dual.example.com. 5 AAAA 2001:db8::1"},
		{"www.example.com.", wire.TypeA, "NOERROR; www.example.com. 60 CNAME alias.example.com.; alias.example.com. 60 CNAME dual.example.com.; dual.example.com. 5 A 192.0.2.1"},
		{"www.example.com.", wire.TypeCNAME, "NOERROR; www.example.com. 60 CNAME alias.example.com."},
		{"dangling.example.com.", wire.TypeA, "NXDOMAIN; dangling.example.com. 60 CNAME gone.amazonaws.com.; SOA amazonaws.com."},
		{"loop.example.com.", wire.TypeA, "SERVFAIL"},
		{"a.s3.us-east-1.amazonaws.com.", wire.TypeA, "NOERROR; a.s3.us-east-1.amazonaws.com. 60 A 198.19.0.20"},
		{"a.b.s3.us-east-1.amazonaws.com.", wire.TypeA, "NOERROR; a.b.s3.us-east-1.amazonaws.com. 60 A 198.19.0.20"},
		{"taken.s3.us-east-1.amazonaws.com.", wire.TypeA, "NOERROR; taken.s3.us-east-1.amazonaws.com. 60 A 198.19.0.21"},
		{"x.taken.s3.us-east-1.amazonaws.com.", wire.TypeA, "NXDOMAIN; SOA amazonaws.com."},
		{"s3.us-east-1.amazonaws.com.", wire.TypeA, "NOERROR; SOA amazonaws.com."},
		{"ip-10-0-1-5.ec2.internal.", wire.TypeA, "NOERROR; ip-10-0-1-5.ec2.internal. 60 A 10.0.1.5"},
		{"ip-10-0-1-5.ec2.internal.", wire.TypeAAAA, "NOERROR; SOA ec2.internal."},
		{"IP-100-64-0-9.ec2.internal.", wire.TypeA, "NOERROR; IP-100-64-0-9.ec2.internal. 60 A 100.64.0.9"},
		{"ip-10-1-0-5.ec2.internal.", wire.TypeA, "NXDOMAIN; SOA ec2.internal."},
		{"ip-10-0-1.ec2.internal.", wire.TypeA, "NXDOMAIN; SOA ec2.internal."},
		{"ip-10.0-1-5.ec2.internal.", wire.TypeA, "NXDOMAIN; SOA ec2.internal."},
		{"ip-010-0-1-5.ec2.internal.", wire.TypeA, "NXDOMAIN; SOA ec2.internal."},
		{"ec2.internal.", wire.TypeA, "NOERROR; SOA ec2.internal."},
		{"5.1.0.10.in-addr.arpa.", wire.TypePTR, "NOERROR; 5.1.0.10.in-addr.arpa. 60 PTR ip-10-0-1-5.ec2.internal."},
		{"5.1.0.10.in-addr.arpa.", wire.TypeA, "NOERROR; SOA ."},
		{"5.1.1.10.in-addr.arpa.", wire.TypePTR, "NXDOMAIN; SOA ."},
		{"05.1.0.10.in-addr.arpa.", wire.TypePTR, "NXDOMAIN; SOA ."},
		{"1.0.10.in-addr.arpa.", wire.TypePTR, "NXDOMAIN; SOA ."},
		{"www.google.com.", wire.TypeA, "NXDOMAIN; SOA ."},
		{".", wire.TypeNS, "NXDOMAIN; SOA ."},
		{"logs.us-east-1.amazonaws.com.", wire.TypeAXFR, "REFUSED"},
	}
	for _, tt := range tests {
		t.Run(tt.name+wire.TypeToString[tt.qtype], func(t *testing.T) {
			got := brief(query(t, r, tt.name, tt.qtype, Datagram, nil))
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestRotatedAnswerHoldsEightOfAll(t *testing.T) {
	r := NewResolver()
	if err := r.Set(testZone()); err != nil {
		t.Fatal(err)
	}
	seen, firsts := map[string]bool{}, map[string]bool{}
	for range 200 {
		m := query(t, r, "web-1.us-east-1.elb.amazonaws.com.", wire.TypeA, Datagram, nil)
		if len(m.Answer) != MaxRotated {
			t.Fatalf("%d addresses", len(m.Answer))
		}
		for i, rr := range m.Answer {
			a := rr.(*wire.A).A.String()
			seen[a] = true
			if i == 0 {
				firsts[a] = true
			}
		}
	}
	if len(seen) != 12 || len(firsts) != 12 {
		t.Errorf("saw %d addresses, %d of them first; want all 12", len(seen), len(firsts))
	}
}

func TestProtocolEdges(t *testing.T) {
	r := NewResolver()
	if err := r.Set(testZone()); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		title  string
		change func(*wire.Msg)
		want   int
	}{
		{"unknown operation", func(m *wire.Msg) { m.Opcode = wire.OpcodeNotify }, wire.RcodeNotImplemented},
		{"two questions", func(m *wire.Msg) { m.Question = append(m.Question, m.Question[0]) }, wire.RcodeFormatError},
		{"no question", func(m *wire.Msg) { m.Question = nil }, wire.RcodeFormatError},
		{"other class", func(m *wire.Msg) { m.Question[0].Qclass = wire.ClassCHAOS }, wire.RcodeRefused},
		{"other EDNS version", func(m *wire.Msg) { m.SetEdns0(1232, false); m.IsEdns0().SetVersion(1) }, wire.RcodeBadVers},
		{"plain EDNS", func(m *wire.Msg) { m.SetEdns0(1232, true) }, wire.RcodeSuccess},
	}
	for _, tt := range tests {
		t.Run(tt.title, func(t *testing.T) {
			m := query(t, r, "dual.example.com.", wire.TypeA, Datagram, tt.change)
			if m.Rcode != tt.want {
				t.Errorf("rcode %s, want %s", wire.RcodeToString[m.Rcode], wire.RcodeToString[tt.want])
			}
		})
	}
	if m := query(t, r, "dual.example.com.", wire.TypeA, Datagram, func(m *wire.Msg) { m.Response = true }); m != nil {
		t.Errorf("an answer was answered: %v", m)
	}
	for _, packet := range [][]byte{nil, {1, 2, 3}, make([]byte, 11)} {
		if resp, later := r.Answer(packet, nil, Datagram); resp != nil || later != nil {
			t.Errorf("%d bytes were answered", len(packet))
		}
	}
	garbage := append([]byte{0xab, 0xcd, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0}, 63)
	resp, _ := r.Answer(garbage, nil, Datagram)
	if len(resp) != headerLength || resp[0] != 0xab || resp[3]&15 != wire.RcodeFormatError {
		t.Errorf("broken question: % x", resp)
	}
}

func TestLongAnswerIsTruncatedByTransport(t *testing.T) {
	z := testZone()
	var many []netip.Addr
	for i := range 400 {
		many = append(many, netip.AddrFrom4([4]byte{10, 9, byte(i >> 8), byte(i)}))
	}
	z.Records["many.example.com"] = Record{Addresses: many}
	r := NewResolver()
	if err := r.Set(z); err != nil {
		t.Fatal(err)
	}
	edns := func(m *wire.Msg) { m.SetEdns0(65535, false) }
	for _, tt := range []struct {
		title     string
		via       Transport
		change    func(*wire.Msg)
		max, min  int
		truncated bool
	}{
		{"plain UDP", Datagram, nil, 512, 20, true},
		{"EDNS", Datagram, edns, ednsSize, 200, true},
		{"TCP", Stream, nil, wire.MaxMsgSize, 400, false},
	} {
		t.Run(tt.title, func(t *testing.T) {
			m := query(t, r, "many.example.com.", wire.TypeA, tt.via, tt.change)
			m.Compress = true
			if m.Truncated != tt.truncated || len(m.Answer) < tt.min || m.Len() > tt.max {
				t.Errorf("truncated %v, %d records, %d bytes", m.Truncated, len(m.Answer), m.Len())
			}
		})
	}
}

func TestSetRefusesBrokenZonesAndKeepsTheOldOne(t *testing.T) {
	r := NewResolver()
	if err := r.Set(testZone()); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("a", 64) + ".example.com"
	one := []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	for _, z := range []Zone{
		{Records: map[string]Record{"both.example.com": {Addresses: one, CNAME: "x.example.com"}}},
		{Records: map[string]Record{"": {Addresses: one}}},
		{Records: map[string]Record{long: {Addresses: one}}},
		{Records: map[string]Record{"a.example.com": {CNAME: long}}},
		{Owned: []string{"."}},
		{PrivateDomain: long},
	} {
		if err := r.Set(z); err == nil {
			t.Errorf("accepted %+v", z)
		}
	}
	if got := brief(query(t, r, "dual.example.com.", wire.TypeAAAA, Stream, nil)); !strings.Contains(got, "2001:db8::1") {
		t.Errorf("old zone gone: %s", got)
	}
}

func TestAddressesKeepOrderUnlessRotated(t *testing.T) {
	var addrs []netip.Addr
	for i := range 20 {
		addrs = append(addrs, netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}))
	}
	if got := (Record{Addresses: addrs}).addresses(false); !slices.Equal(got, addrs) {
		t.Errorf("order changed: %v", got)
	}
}
