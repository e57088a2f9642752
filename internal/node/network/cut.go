package network

import (
	"errors"
	"io/fs"

	"github.com/neargate/neargate/internal/fabric"
	"github.com/neargate/neargate/internal/linux/conntrack"
	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/model"
)

// cut ends flows. Finding them means walking the kernel's whole table (10 ms and more), so where nobody waits for it, it
// is done in the background, for all ENIs that have gone meanwhile at once. It is called with mu held.
func (v *vpc) cut(e fabric.Ending) error {
	if e.Match == nil {
		return nil
	}
	if e.Prompt {
		return v.deleteFlows(v.ns, []fabric.Ending{e})
	}
	v.cuts = append(v.cuts, e)
	if !v.cutting {
		v.cutting = true
		go v.cutLater()
	}
	return nil
}

// cutLater works until nothing is left to cut.
func (v *vpc) cutLater() {
	for {
		v.mu.Lock()
		todo := v.cuts
		v.cuts = nil
		if len(todo) == 0 {
			v.cutting = false
			v.mu.Unlock()
			return
		}
		v.mu.Unlock()
		ns, err := netns.Open(model.VPCNetns(v.id))
		if errors.Is(err, fs.ErrNotExist) {
			continue // the VPC went, and all its flows with it
		}
		if err == nil {
			err = v.deleteFlows(ns, todo)
			ns.Close()
		}
		if err != nil {
			v.n.log.Warn("flows of detached interfaces remain", "vpc", v.id, "error", err)
		}
	}
}

func (v *vpc) deleteFlows(ns *netns.Namespace, endings []fabric.Ending) error {
	count, err := conntrack.Delete(ns, func(f conntrack.Flow) bool {
		flow := fabric.Flow{
			Proto: int(f.Original.Proto), Src: f.Original.Src, Dst: f.Original.Dst, DstPort: int(f.Original.DstPort),
			ReplySrc: f.Reply.Src, ReplyDst: f.Reply.Dst, ReplyPort: int(f.Reply.SrcPort),
		}
		for _, e := range endings {
			if e.Match(flow) {
				return true
			}
		}
		return false
	})
	if count > 0 {
		v.n.log.Debug("flows cut", "vpc", v.id, "count", count)
	}
	return err
}
