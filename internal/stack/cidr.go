package stack

import (
	"net/netip"
	"strconv"
)

// cidr evaluates Fn::Cidr: [block, count, host bits], host bits being 32 or 128 minus the length of the prefixes wanted.
func (s *Scope) cidr(arg *Node, path string) (any, error) {
	const otherwise = "Template error: every Fn::Cidr object requires two or three parameters, (1) an IP block, (2) a count between 1 and 256 and (3) the number of subnet bits"
	if arg.Kind != List || len(arg.Items) < 2 || len(arg.Items) > 3 {
		return nil, errorf(arg, path, otherwise)
	}
	block, unknown, err := s.text(arg.Items[0], join(path, "0"), otherwise)
	if err != nil || unknown != nil {
		return orUnknown(unknown), err
	}
	numbers := []int{0, 8}
	for i, item := range arg.Items[1:] {
		v, err := s.eval(item, join(path, strconv.Itoa(i+1)))
		if err != nil {
			return nil, err
		}
		if u, ok := v.(Unknown); ok {
			return u, nil
		}
		n, ok := number(v)
		if !ok {
			return nil, errorf(item, path, otherwise)
		}
		numbers[i] = n
	}
	prefix, err := netip.ParsePrefix(block)
	if err != nil {
		return nil, errorf(arg, path, "Template error: Fn::Cidr: %q is not a block of IP addresses", block)
	}
	blocks, ok := cutPrefix(prefix.Masked(), numbers[0], numbers[1])
	if !ok {
		return nil, errorf(arg, path, "Template error: Fn::Cidr: %s cannot be cut into %d blocks with %d host bits", block, numbers[0], numbers[1])
	}
	out := make([]any, 0, len(blocks))
	for _, b := range blocks {
		out = append(out, b)
	}
	return out, s.spend(arg, path, 64*len(blocks))
}

// cutPrefix returns the first count blocks with that many host bits.
func cutPrefix(p netip.Prefix, count, hostBits int) ([]string, bool) {
	width := p.Addr().BitLen()
	length := width - hostBits
	if count < 1 || count > 256 || hostBits < 1 || length < p.Bits() || length > width {
		return nil, false
	}
	if room := length - p.Bits(); room < 9 && count > 1<<room {
		return nil, false
	}
	out := make([]string, 0, count)
	addr := p.Addr()
	for range count {
		out = append(out, netip.PrefixFrom(addr, length).String())
		addr = addBit(addr, hostBits)
	}
	return out, true
}

// addBit adds 1<<bit to an address.
func addBit(a netip.Addr, bit int) netip.Addr {
	b := a.AsSlice()
	carry := 1 << (bit % 8)
	for i := len(b) - 1 - bit/8; i >= 0 && carry > 0; i-- {
		sum := int(b[i]) + carry
		b[i], carry = byte(sum), sum>>8
	}
	out, _ := netip.AddrFromSlice(b)
	return out
}
