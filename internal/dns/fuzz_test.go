package dns

import (
	"testing"

	wire "github.com/miekg/dns"
)

// FuzzAnswer sends any bytes: no panic, and what is answered is an answer to the question, of allowed length.
func FuzzAnswer(f *testing.F) {
	for _, name := range []string{"logs.us-east-1.amazonaws.com.", "ip-10-0-1-5.ec2.internal.", "5.1.0.10.in-addr.arpa.", "loop.example.com.", "."} {
		for _, qtype := range []uint16{wire.TypeA, wire.TypePTR, wire.TypeANY} {
			m := new(wire.Msg)
			m.SetQuestion(name, qtype)
			packed, _ := m.Pack()
			f.Add(packed)
			m.SetEdns0(1232, true)
			packed, _ = m.Pack()
			f.Add(packed)
		}
	}
	r := NewResolver()
	if err := r.Set(testZone()); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		resp, later := r.Answer(packet, make([]byte, maxQuery), Datagram)
		if later != nil {
			t.Fatal("no upstream is configured")
		}
		if resp == nil {
			return
		}
		if len(resp) < headerLength || len(resp) > ednsSize || resp[0] != packet[0] || resp[1] != packet[1] || resp[2]&0x80 == 0 {
			t.Fatalf("% x answers % x", resp, packet)
		}
		if len(resp) == headerLength {
			return
		}
		if err := new(wire.Msg).Unpack(resp); err != nil {
			t.Fatalf("answer to % x: %v", packet, err)
		}
	})
}

// FuzzZone compiles any names, and asks for them.
func FuzzZone(f *testing.F) {
	f.Add("a.example.com", "*.example.com", "example.com")
	f.Add("*.", "..", "\\000.x")
	f.Fuzz(func(t *testing.T, name, target, owned string) {
		r := NewResolver()
		if err := r.Set(Zone{Records: map[string]Record{name: {CNAME: target}}, Owned: []string{owned}, PrivateDomain: owned}); err != nil {
			return
		}
		m := new(wire.Msg)
		m.SetQuestion(wire.Fqdn(name), wire.TypeA)
		if packed, err := m.Pack(); err == nil {
			r.Answer(packed, nil, Datagram)
		}
	})
}

func BenchmarkAnswer(b *testing.B) {
	r := NewResolver()
	if err := r.Set(testZone()); err != nil {
		b.Fatal(err)
	}
	for name, host := range map[string]string{"service": "logs.us-east-1.amazonaws.com.", "private": "ip-10-0-1-5.ec2.internal.", "missing": "x.amazonaws.com."} {
		b.Run(name, func(b *testing.B) {
			m := new(wire.Msg)
			m.SetQuestion(host, wire.TypeA)
			packed, _ := m.Pack()
			buf := make([]byte, maxQuery)
			b.ReportAllocs()
			for b.Loop() {
				r.Answer(packed, buf, Datagram)
			}
		})
	}
}
