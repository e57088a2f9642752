package nft

import (
	"encoding/binary"
	"fmt"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/neargate/neargate/internal/ruleset"
)

// maxElements bounds the elements per message: a nested attribute holds less than 64 KiB.
const maxElements = 400

// batch collects messages.
type batch struct {
	msgBuf
	notes []string // what each message is about, by its place in the batch; place 0 is the begin
	first uint32
	setID uint32
}

func newBatch() *batch {
	b := &batch{notes: []string{"commit"}}
	b.header(unix.NFNL_MSG_BATCH_BEGIN, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES)
	return b
}

// message begins a message and returns what ends it.
func (b *batch) message(kind, flags int, format string, args ...any) func() {
	b.notes = append(b.notes, fmt.Sprintf(format, args...))
	return b.header(unix.NFNL_SUBSYS_NFTABLES<<8|kind, flags, unix.NFPROTO_INET, 0)
}

// finish numbers the messages, asks for one acknowledgement and returns the bytes and the number to wait for.
func (b *batch) finish(seq *uint32) (raw []byte, last uint32) {
	b.header(unix.NFNL_MSG_BATCH_END, 0, unix.AF_UNSPEC, unix.NFNL_SUBSYS_NFTABLES)
	b.first = *seq + 1
	off, ackAt := 0, 0
	for off < len(b.b) {
		*seq++
		binary.NativeEndian.PutUint32(b.b[off+8:], *seq)
		if binary.NativeEndian.Uint16(b.b[off+4:]) != unix.NFNL_MSG_BATCH_END {
			ackAt, last = off, *seq
		}
		off += align(int(binary.NativeEndian.Uint32(b.b[off:])))
	}
	flags := binary.NativeEndian.Uint16(b.b[ackAt+6:])
	binary.NativeEndian.PutUint16(b.b[ackAt+6:], flags|unix.NLM_F_ACK)
	return b.b, last
}

// explain says which message an error is about.
func (b *batch) explain(seq uint32, errno syscall.Errno) error {
	if i := int(seq - b.first); i >= 0 && i < len(b.notes) {
		return fmt.Errorf("%s: %w", b.notes[i], errno)
	}
	return errno
}

func (b *batch) newTable() {
	end := b.message(unix.NFT_MSG_NEWTABLE, unix.NLM_F_CREATE, "add table")
	b.str(unix.NFTA_TABLE_NAME, ruleset.TableName)
	b.be32(unix.NFTA_TABLE_FLAGS, 0)
	end()
}

func (b *batch) delTable() {
	end := b.message(unix.NFT_MSG_DELTABLE, 0, "delete table")
	b.str(unix.NFTA_TABLE_NAME, ruleset.TableName)
	end()
}

func (b *batch) delta(d *ruleset.Delta) {
	ids := map[string]uint32{} // of sets that are new in this batch
	for _, s := range d.NewSets {
		b.setID++
		ids[s.Name] = b.setID
		b.newSet(s, b.setID)
	}
	for _, e := range d.DelElements {
		b.elements(unix.NFT_MSG_DELSETELEM, e.Set, e.Elements, 0)
	}
	for _, c := range d.NewChains {
		b.newChain(c)
	}
	for _, c := range d.SetRules {
		b.flushChain(c)
		for i := range c.Rules {
			b.newRule(c, &c.Rules[i])
		}
	}
	for _, e := range d.AddElements {
		b.elements(unix.NFT_MSG_NEWSETELEM, e.Set, e.Elements, ids[e.Set.Name])
	}
	for _, c := range d.DelChains {
		b.flushChain(c)
	}
	for _, c := range d.DelChains {
		end := b.message(unix.NFT_MSG_DELCHAIN, 0, "delete chain %s", c.Name)
		b.str(unix.NFTA_CHAIN_TABLE, ruleset.TableName)
		b.str(unix.NFTA_CHAIN_NAME, c.Name)
		end()
	}
	for _, s := range d.DelSets {
		end := b.message(unix.NFT_MSG_DELSET, 0, "delete set %s", s.Name)
		b.str(unix.NFTA_SET_TABLE, ruleset.TableName)
		b.str(unix.NFTA_SET_NAME, s.Name)
		end()
	}
}

var hookNumbers = map[string]uint32{
	"prerouting": unix.NF_INET_PRE_ROUTING, "input": unix.NF_INET_LOCAL_IN, "forward": unix.NF_INET_FORWARD,
	"output": unix.NF_INET_LOCAL_OUT, "postrouting": unix.NF_INET_POST_ROUTING,
}

func (b *batch) newChain(c *ruleset.Chain) {
	end := b.message(unix.NFT_MSG_NEWCHAIN, unix.NLM_F_CREATE, "add chain %s", c.Name)
	b.str(unix.NFTA_CHAIN_TABLE, ruleset.TableName)
	b.str(unix.NFTA_CHAIN_NAME, c.Name)
	if h := c.Hook; h != nil {
		policy := uint32(nfAccept)
		if h.Drop {
			policy = nfDrop
		}
		b.str(unix.NFTA_CHAIN_TYPE, h.Type)
		b.be32(unix.NFTA_CHAIN_POLICY, policy)
		done := b.nest(unix.NFTA_CHAIN_HOOK)
		b.be32(unix.NFTA_HOOK_HOOKNUM, hookNumbers[h.Point])
		b.be32(unix.NFTA_HOOK_PRIORITY, uint32(int32(h.Priority)))
		done()
	}
	end()
}

// flushChain deletes all rules of a chain.
func (b *batch) flushChain(c *ruleset.Chain) {
	end := b.message(unix.NFT_MSG_DELRULE, 0, "flush chain %s", c.Name)
	b.str(unix.NFTA_RULE_TABLE, ruleset.TableName)
	b.str(unix.NFTA_RULE_CHAIN, c.Name)
	end()
}

func (b *batch) newRule(c *ruleset.Chain, r *ruleset.Rule) {
	end := b.message(unix.NFT_MSG_NEWRULE, unix.NLM_F_CREATE|unix.NLM_F_APPEND, "add rule to %s: %s", c.Name, r)
	b.str(unix.NFTA_RULE_TABLE, ruleset.TableName)
	b.str(unix.NFTA_RULE_CHAIN, c.Name)
	done := b.nest(unix.NFTA_RULE_EXPRESSIONS)
	b.rule(r)
	done()
	end()
}

// nft's numbers of data types; only `nft list` cares, to print values well.
var typeNumbers = [...]uint32{
	ruleset.IfName: 41, ruleset.IPv4: 7, ruleset.IPv6: 8, ruleset.Proto: 12, ruleset.Port: 13, ruleset.ICMPType: 14,
	ruleset.ICMPCode: 32, ruleset.ICMP6Type: 29, ruleset.ICMP6Code: 33, ruleset.Mark32: 19,
}

// Not in x/sys/unix.
const (
	nfDrop          = 0
	nfAccept        = 1
	setConcat       = 0x80
	setDescConcat   = 2
	setElemKeyEnd   = 10
	setExpression   = 17
	udataKeyOrder   = 0
	udataDataOrder  = 1
	hostByteOrder   = 1
	bigEndianOrder  = 2
	dataTypeVerdict = 0xffffff00
)

func (b *batch) newSet(s *ruleset.Set, id uint32) {
	end := b.message(unix.NFT_MSG_NEWSET, unix.NLM_F_CREATE, "add set %s", s.Name)
	b.str(unix.NFTA_SET_TABLE, ruleset.TableName)
	b.str(unix.NFTA_SET_NAME, s.Name)
	b.be32(unix.NFTA_SET_ID, id)
	var flags, magic, size uint32
	for _, t := range s.Key {
		magic = magic<<6 | typeNumbers[t]
		if len(s.Key) == 1 {
			size = uint32(t.Size())
		} else {
			size += uint32(t.Padded())
		}
	}
	if s.Interval {
		flags |= unix.NFT_SET_INTERVAL | setConcat
	}
	if s.Value != ruleset.None {
		flags |= unix.NFT_SET_MAP
	}
	b.be32(unix.NFTA_SET_FLAGS, flags)
	b.be32(unix.NFTA_SET_KEY_TYPE, magic)
	b.be32(unix.NFTA_SET_KEY_LEN, size)
	switch s.Value {
	case ruleset.MarkValue:
		b.be32(unix.NFTA_SET_DATA_TYPE, typeNumbers[ruleset.Mark32])
		b.be32(unix.NFTA_SET_DATA_LEN, 4)
	case ruleset.AddrValue:
		b.be32(unix.NFTA_SET_DATA_TYPE, typeNumbers[ruleset.IPv4])
		b.be32(unix.NFTA_SET_DATA_LEN, 4)
	case ruleset.VerdictValue:
		b.be32(unix.NFTA_SET_DATA_TYPE, dataTypeVerdict)
		b.be32(unix.NFTA_SET_DATA_LEN, 0)
	}
	if s.Interval {
		desc := b.nest(unix.NFTA_SET_DESC)
		list := b.nest(setDescConcat)
		for _, t := range s.Key {
			elem := b.nest(unix.NFTA_LIST_ELEM)
			b.be32(1, uint32(t.Size())) // NFTA_SET_FIELD_LEN
			elem()
		}
		list()
		desc()
	}
	order := uint32(bigEndianOrder)
	if len(s.Key) == 1 && (s.Key[0] == ruleset.Mark32 || s.Key[0] == ruleset.IfName) {
		order = hostByteOrder // what `nft` notes, and needs to print the keys
	}
	notes := udata(nil, udataKeyOrder, order)
	switch s.Value {
	case ruleset.MarkValue:
		notes = udata(notes, udataDataOrder, hostByteOrder)
	case ruleset.AddrValue:
		notes = udata(notes, udataDataOrder, bigEndianOrder)
	}
	b.attr(unix.NFTA_SET_USERDATA, notes)
	if s.Counted {
		b.exprAs(setExpression, "counter", func() {})
	}
	end()
}

// udata appends one note in the form in which `nft` keeps its own notes on a set.
func udata(notes []byte, kind byte, v uint32) []byte {
	return binary.NativeEndian.AppendUint32(append(notes, kind, 4), v)
}

func (b *batch) elements(kind int, s *ruleset.Set, elements []ruleset.Element, id uint32) {
	flags, word := 0, "delete"
	if kind == unix.NFT_MSG_NEWSETELEM {
		flags, word = unix.NLM_F_CREATE, "add"
	}
	for len(elements) > 0 {
		part := elements[:min(len(elements), maxElements)]
		elements = elements[len(part):]
		end := b.message(kind, flags, "%s %d elements of %s", word, len(part), s.Name)
		b.str(unix.NFTA_SET_ELEM_LIST_TABLE, ruleset.TableName)
		b.str(unix.NFTA_SET_ELEM_LIST_SET, s.Name)
		if id != 0 {
			b.be32(unix.NFTA_SET_ELEM_LIST_SET_ID, id)
		}
		list := b.nest(unix.NFTA_SET_ELEM_LIST_ELEMENTS)
		for i := range part {
			b.element(s, &part[i])
		}
		list()
		end()
	}
}

func (b *batch) element(s *ruleset.Set, e *ruleset.Element) {
	elem := b.nest(unix.NFTA_LIST_ELEM)
	b.data(unix.NFTA_SET_ELEM_KEY, e.Key)
	if s.Interval {
		b.data(setElemKeyEnd, e.End)
	}
	switch s.Value {
	case ruleset.MarkValue:
		b.data(unix.NFTA_SET_ELEM_DATA, ruleset.MarkKey(e.Mark))
	case ruleset.AddrValue:
		b.data(unix.NFTA_SET_ELEM_DATA, ruleset.AddrKey(e.Addr))
	case ruleset.VerdictValue:
		data := b.nest(unix.NFTA_SET_ELEM_DATA)
		b.verdict(e.Verdict)
		data()
	}
	elem()
}
