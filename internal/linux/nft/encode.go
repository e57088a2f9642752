package nft

import (
	"encoding/binary"

	"golang.org/x/sys/unix"

	"github.com/neargate/neargate/internal/ruleset"
)

// msgBuf appends netlink messages and attributes.
type msgBuf struct{ b []byte }

func align(n int) int { return (n + 3) &^ 3 }

func nativeUint32(b []byte) uint32 { return binary.NativeEndian.Uint32(b) }
func nativeUint16(b []byte) uint16 { return binary.NativeEndian.Uint16(b) }

// header begins a message and returns what ends it. A message without attributes needs no end.
func (m *msgBuf) header(kind, flags int, family byte, resID uint16) func() {
	start := len(m.b)
	m.b = binary.NativeEndian.AppendUint32(m.b, unix.SizeofNlMsghdr+4)
	m.b = binary.NativeEndian.AppendUint16(m.b, uint16(kind))
	m.b = binary.NativeEndian.AppendUint16(m.b, uint16(flags)|unix.NLM_F_REQUEST)
	m.b = append(m.b, 0, 0, 0, 0, 0, 0, 0, 0) // sequence, port
	m.b = append(m.b, family, unix.NFNETLINK_V0)
	m.b = binary.BigEndian.AppendUint16(m.b, resID)
	return func() { binary.NativeEndian.PutUint32(m.b[start:], uint32(len(m.b)-start)) }
}

func (m *msgBuf) attr(kind int, data []byte) {
	m.b = binary.NativeEndian.AppendUint16(m.b, uint16(4+len(data)))
	m.b = binary.NativeEndian.AppendUint16(m.b, uint16(kind))
	m.b = append(m.b, data...)
	for len(m.b)%4 != 0 {
		m.b = append(m.b, 0)
	}
}

func (m *msgBuf) str(kind int, s string) { m.attr(kind, append([]byte(s), 0)) }

func (m *msgBuf) be32(kind int, v uint32) {
	m.attr(kind, []byte{byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)})
}

// nest begins an attribute of attributes and returns what ends it.
func (m *msgBuf) nest(kind int) func() {
	start := len(m.b)
	m.b = binary.NativeEndian.AppendUint16(m.b, 0)
	m.b = binary.NativeEndian.AppendUint16(m.b, uint16(kind)|unix.NLA_F_NESTED)
	return func() { binary.NativeEndian.PutUint16(m.b[start:], uint16(len(m.b)-start)) }
}

// data appends a value wrapped as the kernel's data type.
func (m *msgBuf) data(kind int, value string) {
	end := m.nest(kind)
	m.attr(unix.NFTA_DATA_VALUE, []byte(value))
	end()
}

var verdictCodes = [...]int32{
	ruleset.Continue: unix.NFT_CONTINUE, ruleset.Accept: nfAccept, ruleset.Drop: nfDrop,
	ruleset.Return: unix.NFT_RETURN, ruleset.Jump: unix.NFT_JUMP, ruleset.Goto: unix.NFT_GOTO,
}

func (m *msgBuf) verdict(v ruleset.Verdict) {
	end := m.nest(unix.NFTA_DATA_VERDICT)
	m.be32(unix.NFTA_VERDICT_CODE, uint32(verdictCodes[v.Kind]))
	if v.Chain != "" {
		m.str(unix.NFTA_VERDICT_CHAIN, v.Chain)
	}
	end()
}

// expr appends one expression of a list; body appends its attributes.
func (m *msgBuf) expr(name string, body func()) { m.exprAs(unix.NFTA_LIST_ELEM, name, body) }

func (m *msgBuf) exprAs(kind int, name string, body func()) {
	elem := m.nest(kind)
	m.str(unix.NFTA_EXPR_NAME, name)
	data := m.nest(unix.NFTA_EXPR_DATA)
	body()
	data()
	elem()
}
