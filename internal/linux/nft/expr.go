package nft

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/neargate/neargate/internal/ruleset"
)

// Registers. A key of several fields lies in consecutive 4-byte registers.
const (
	reg0       = unix.NFT_REG32_00
	verdictReg = unix.NFT_REG_VERDICT
)

// rule appends the rule's expressions, in the order and with the dependencies that `nft` itself generates.
func (m *msgBuf) rule(r *ruleset.Rule) {
	g := &generator{msgBuf: m}
	for _, match := range r.Matches {
		g.match(match)
	}
	for _, action := range r.Actions {
		g.action(action)
	}
}

// generator remembers which protocol checks a rule already made, so that each is made once.
type generator struct {
	*msgBuf
	nfproto, l4proto int
}

func (g *generator) match(m ruleset.Match) {
	switch m := m.(type) {
	case ruleset.In:
		g.load(m.Fields)
		g.lookup(m.Set, m.Not, -1)
	case ruleset.Is:
		g.load([]ruleset.Field{m.Field})
		g.cmp(m.Not, []byte(m.Value))
		if m.Field == ruleset.L4Proto && !m.Not {
			g.l4proto = int(m.Value[0])
		}
	case ruleset.Within:
		g.within(m)
	case ruleset.Family:
		family := unix.NFPROTO_IPV4
		if m.V6 {
			family = unix.NFPROTO_IPV6
		}
		g.need(&g.nfproto, family, unix.NFT_META_NFPROTO)
	case ruleset.State:
		g.expr("ct", func() {
			g.be32(unix.NFTA_CT_KEY, unix.NFT_CT_STATE)
			g.be32(unix.NFTA_CT_DREG, reg0)
		})
		g.mask(binary.NativeEndian.AppendUint32(nil, uint32(m.Mask)))
		g.cmp(true, make([]byte, 4))
	}
}

func (g *generator) action(a ruleset.Action) {
	switch a := a.(type) {
	case ruleset.Verdict:
		g.expr("immediate", func() {
			g.be32(unix.NFTA_IMMEDIATE_DREG, verdictReg)
			data := g.nest(unix.NFTA_IMMEDIATE_DATA)
			g.verdict(a)
			data()
		})
	case ruleset.VerdictBy:
		g.load(a.Fields)
		g.lookup(a.Map, false, verdictReg)
	case ruleset.SetMark:
		g.immediate(reg0, []byte(ruleset.MarkKey(a.Value)))
		g.setMark()
	case ruleset.SetMarkBy:
		g.load(a.Fields)
		g.lookup(a.Map, false, reg0)
		g.setMark()
	case ruleset.NATBy:
		field, kind := ruleset.DAddr4, uint32(unix.NFT_NAT_DNAT)
		if a.Source {
			field, kind = ruleset.SAddr4, unix.NFT_NAT_SNAT
		}
		g.load([]ruleset.Field{field})
		g.lookup(a.Map, false, reg0)
		g.nat(kind, false)
	case ruleset.SNATTo:
		g.immediate(reg0, a.Addr.AsSlice())
		if a.Low != 0 {
			g.immediate(reg0+1, binary.BigEndian.AppendUint16(nil, a.Low))
			g.immediate(reg0+2, binary.BigEndian.AppendUint16(nil, a.High))
		}
		g.nat(unix.NFT_NAT_SNAT, a.Low != 0)
	case ruleset.Reset:
		g.expr("reject", func() {
			g.be32(unix.NFTA_REJECT_TYPE, unix.NFT_REJECT_TCP_RST)
			g.attr(unix.NFTA_REJECT_ICMP_CODE, []byte{0})
		})
	}
}

// load brings the fields into the registers from reg0 on, checking first that the packet has them.
func (g *generator) load(fields []ruleset.Field) {
	for _, f := range fields {
		switch f {
		case ruleset.SAddr4, ruleset.DAddr4:
			g.need(&g.nfproto, unix.NFPROTO_IPV4, unix.NFT_META_NFPROTO)
		case ruleset.SAddr6, ruleset.DAddr6:
			g.need(&g.nfproto, unix.NFPROTO_IPV6, unix.NFT_META_NFPROTO)
		case ruleset.FieldICMPType, ruleset.FieldICMPCode:
			g.need(&g.nfproto, unix.NFPROTO_IPV4, unix.NFT_META_NFPROTO)
			g.need(&g.l4proto, unix.IPPROTO_ICMP, unix.NFT_META_L4PROTO)
		case ruleset.FieldICMP6Type, ruleset.FieldICMP6Code:
			g.need(&g.nfproto, unix.NFPROTO_IPV6, unix.NFT_META_NFPROTO)
			g.need(&g.l4proto, unix.IPPROTO_ICMPV6, unix.NFT_META_L4PROTO)
		}
	}
	reg := uint32(reg0)
	for _, f := range fields {
		g.loadOne(f, reg)
		reg += uint32(f.Type().Padded() / 4)
	}
}

// need adds a protocol check unless the rule has made it already.
func (g *generator) need(have *int, want int, key uint32) {
	if *have == want {
		return
	}
	*have = want
	g.meta(key, reg0)
	g.cmp(false, []byte{byte(want)})
}

func (g *generator) loadOne(f ruleset.Field, reg uint32) {
	const network, transport = unix.NFT_PAYLOAD_NETWORK_HEADER, unix.NFT_PAYLOAD_TRANSPORT_HEADER
	switch f {
	case ruleset.IIF:
		g.meta(unix.NFT_META_IIFNAME, reg)
	case ruleset.OIF:
		g.meta(unix.NFT_META_OIFNAME, reg)
	case ruleset.Mark:
		g.meta(unix.NFT_META_MARK, reg)
	case ruleset.LowMark:
		g.meta(unix.NFT_META_MARK, reg)
		g.mask([]byte(ruleset.MarkKey(ruleset.LowMarkMask)))
	case ruleset.L4Proto:
		g.meta(unix.NFT_META_L4PROTO, reg)
	case ruleset.SAddr4:
		g.payload(network, 12, 4, reg)
	case ruleset.DAddr4:
		g.payload(network, 16, 4, reg)
	case ruleset.SAddr6:
		g.payload(network, 8, 16, reg)
	case ruleset.DAddr6:
		g.payload(network, 24, 16, reg)
	case ruleset.DPort:
		g.payload(transport, 2, 2, reg)
	case ruleset.FieldICMPType, ruleset.FieldICMP6Type:
		g.payload(transport, 0, 1, reg)
	case ruleset.FieldICMPCode, ruleset.FieldICMP6Code:
		g.payload(transport, 1, 1, reg)
	}
}

// within compares the leading bytes of an address, under a mask if the prefix does not end at a byte.
func (g *generator) within(m ruleset.Within) {
	bits, offset := m.Prefix.Bits(), uint32(12)
	family := unix.NFPROTO_IPV4
	switch m.Field {
	case ruleset.DAddr4:
		offset = 16
	case ruleset.SAddr6:
		offset, family = 8, unix.NFPROTO_IPV6
	case ruleset.DAddr6:
		offset, family = 24, unix.NFPROTO_IPV6
	}
	g.need(&g.nfproto, family, unix.NFT_META_NFPROTO)
	addr := m.Prefix.Masked().Addr().AsSlice()
	if bits == 0 {
		return
	}
	if bits%8 == 0 {
		g.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, offset, uint32(bits/8), reg0)
		g.cmp(false, addr[:bits/8])
		return
	}
	mask := make([]byte, len(addr))
	for i := range bits {
		mask[i/8] |= 0x80 >> (i % 8)
	}
	g.payload(unix.NFT_PAYLOAD_NETWORK_HEADER, offset, uint32(len(addr)), reg0)
	g.mask(mask)
	g.cmp(false, addr)
}

func (g *generator) meta(key, reg uint32) {
	g.expr("meta", func() {
		g.be32(unix.NFTA_META_KEY, key)
		g.be32(unix.NFTA_META_DREG, reg)
	})
}

func (g *generator) setMark() {
	g.expr("meta", func() {
		g.be32(unix.NFTA_META_KEY, unix.NFT_META_MARK)
		g.be32(unix.NFTA_META_SREG, reg0)
	})
}

func (g *generator) payload(base, offset, size, reg uint32) {
	g.expr("payload", func() {
		g.be32(unix.NFTA_PAYLOAD_DREG, reg)
		g.be32(unix.NFTA_PAYLOAD_BASE, base)
		g.be32(unix.NFTA_PAYLOAD_OFFSET, offset)
		g.be32(unix.NFTA_PAYLOAD_LEN, size)
	})
}

func (g *generator) cmp(not bool, value []byte) {
	op := uint32(unix.NFT_CMP_EQ)
	if not {
		op = unix.NFT_CMP_NEQ
	}
	g.expr("cmp", func() {
		g.be32(unix.NFTA_CMP_SREG, reg0)
		g.be32(unix.NFTA_CMP_OP, op)
		g.data(unix.NFTA_CMP_DATA, string(value))
	})
}

func (g *generator) mask(mask []byte) {
	g.expr("bitwise", func() {
		g.be32(unix.NFTA_BITWISE_SREG, reg0)
		g.be32(unix.NFTA_BITWISE_DREG, reg0)
		g.be32(unix.NFTA_BITWISE_LEN, uint32(len(mask)))
		g.data(unix.NFTA_BITWISE_MASK, string(mask))
		g.data(unix.NFTA_BITWISE_XOR, string(make([]byte, len(mask))))
	})
}

func (g *generator) immediate(reg uint32, value []byte) {
	g.expr("immediate", func() {
		g.be32(unix.NFTA_IMMEDIATE_DREG, reg)
		g.data(unix.NFTA_IMMEDIATE_DATA, string(value))
	})
}

// lookup matches against a set, or fetches from a map into the register dst if that is not negative.
func (g *generator) lookup(set string, not bool, dst int) {
	g.expr("lookup", func() {
		g.str(unix.NFTA_LOOKUP_SET, set)
		g.be32(unix.NFTA_LOOKUP_SREG, reg0)
		if dst >= 0 {
			g.be32(unix.NFTA_LOOKUP_DREG, uint32(dst))
		}
		if not {
			g.be32(unix.NFTA_LOOKUP_FLAGS, unix.NFT_LOOKUP_F_INV)
		}
	})
}

func (g *generator) nat(kind uint32, ports bool) {
	g.expr("nat", func() {
		g.be32(unix.NFTA_NAT_TYPE, kind)
		g.be32(unix.NFTA_NAT_FAMILY, unix.NFPROTO_IPV4)
		g.be32(unix.NFTA_NAT_REG_ADDR_MIN, reg0)
		if ports {
			g.be32(unix.NFTA_NAT_REG_PROTO_MIN, reg0+1)
			g.be32(unix.NFTA_NAT_REG_PROTO_MAX, reg0+2)
		}
	})
}
