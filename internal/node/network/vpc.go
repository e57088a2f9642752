package network

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"slices"
	"sync"

	"github.com/neargate/neargate/internal/fabric"
	fabricedge "github.com/neargate/neargate/internal/fabric/edge"
	"github.com/neargate/neargate/internal/linux/link"
	"github.com/neargate/neargate/internal/linux/netns"
	"github.com/neargate/neargate/internal/linux/nft"
	"github.com/neargate/neargate/internal/linux/route"
	"github.com/neargate/neargate/internal/linux/sysctl"
	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/ruleset"
)

// vpc is what is known of one VPC's namespace. Its fields are guarded by mu.
type vpc struct {
	n  *Network
	id string

	mu         sync.Mutex
	ns         *netns.Namespace // nil: not open
	link       *link.Conn
	nft        *nft.Conn
	input      fabric.VPC      // the records that router was compiled from
	router     *ruleset.Router // what the namespace follows; nil: not known
	compiler   fabric.Compiler
	enis       map[string]*model.NetworkInterface
	revision   int64
	generation uint32          // of the namespace's packet filter after our last change
	wired      map[string]bool // interfaces in the namespace, by name
	routed     bool            // routes follow router and wired
	nats       map[string]bool // NAT gateways that are wired
	adopted    bool            // links were listed since the namespace was opened
	gateway    bool            // the link to the edge is there

	cuts    []fabric.Ending // what the goroutine that cuts flows has still to do
	cutting bool            // it runs

	public    map[netip.Addr]netip.Addr // private to public addresses that the edge knows
	published bool
}

// inForce reports whether the packet filter follows the ENI's record as it is now. Records are never changed in place,
// so the same pointer is the same record.
func (v *vpc) inForce(id string) bool {
	if v.router == nil {
		return false
	}
	now, ok := v.n.cfg.Source.Interface(id)
	return ok && v.enis[id] == now
}

// reconcile makes the namespace follow the records of this moment.
func (v *vpc) reconcile(ctx context.Context) error {
	want, revision, ok := v.n.cfg.Source.VPC(v.id)
	if !ok {
		return v.remove()
	}
	if err := v.open(); err != nil {
		return err
	}
	router := v.compiler.Compile(want)
	if err := v.filter(router); err != nil {
		return err
	}
	before, hadRouter := v.input, v.router != nil
	changed := !hadRouter || !slices.EqualFunc(v.router.Routes, router.Routes, func(a, b ruleset.Route) bool { return a == b }) ||
		!slices.Equal(v.router.Policy, router.Policy) || !slices.Equal(v.router.Addresses, router.Addresses)
	v.input, v.router = want, router
	v.enis = make(map[string]*model.NetworkInterface, len(want.Interfaces))
	for _, e := range want.Interfaces {
		v.enis[e.ID] = e
	}
	if err := v.adopt(); err != nil {
		return err
	}
	if changed {
		v.routed = false
		if err := v.addresses(); err != nil {
			return err
		}
	}
	if err := v.setGateway(want.Gateway != nil); err != nil {
		return err
	}
	// What fails from here on does not hold up the rest: it is tried again, and the rest is right meanwhile.
	errs := []error{v.wireOwn(ctx), v.route()}
	if public := fabric.PublicAddresses(want); !v.published || !maps.Equal(public, v.public) {
		err := v.n.edge.apply()
		v.public, v.published = public, err == nil
		errs = append(errs, err)
	}
	if hadRouter {
		errs = append(errs, v.cut(fabric.Cut(before, want)))
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	v.revision = revision
	return nil
}

// open makes and opens the namespace.
func (v *vpc) open() error {
	if v.ns != nil {
		return nil
	}
	ns, made, err := netns.Ensure(model.VPCNetns(v.id))
	if err != nil {
		return err
	}
	v.ns = ns
	if v.link, err = link.Open(ns); err == nil {
		v.nft, err = nft.Open(ns)
	}
	if err == nil {
		err = sysctl.Set(ns, slices.Concat(routerParams, vpcParams))
	}
	if err != nil {
		v.close()
		return err
	}
	if made {
		v.n.log.Info("vpc namespace made", "vpc", v.id, "netns", ns.Name())
	}
	return nil
}

// filter brings the packet filter up to date: by the difference if it is known what is there, else as a whole. The
// kernel numbers the states of all tables of a namespace, so that a change by somebody else is seen.
func (v *vpc) filter(router *ruleset.Router) error {
	first := v.router == nil
	generation, err := v.nft.Generation()
	if err != nil {
		return err
	}
	if !first && generation == v.generation {
		if err = v.nft.Update(&v.router.Table, &router.Table); err == nil {
			v.generation, err = v.nft.Generation()
			return err
		}
	}
	if !first {
		v.n.log.Warn("packet filter is not what was expected, replacing it", "vpc", v.id, "error", err)
	}
	v.router = nil
	if err := v.nft.Replace(&router.Table); err != nil {
		return err
	}
	if v.generation, err = v.nft.Generation(); err != nil {
		return err
	}
	if first {
		// Only now: the parameters exist once a rule has asked for connection tracking.
		return sysctl.Set(v.ns, vpcTracking)
	}
	return nil
}

// adopt lists, once, what links there are.
func (v *vpc) adopt() error {
	if v.adopted {
		return nil
	}
	links, err := v.link.List()
	if err != nil {
		return err
	}
	for name := range links {
		if model.IsVethName(name) {
			v.wired[name] = true
		}
	}
	_, v.gateway = links[fabric.GatewayIf]
	v.adopted = true
	return nil
}

func (v *vpc) addresses() error {
	lo, ok := v.link.Index("lo")
	if !ok {
		return fmt.Errorf("no lo in %s", v.ns.Name())
	}
	return v.link.SetAddresses(lo, hostPrefixes(v.router.Addresses), false)
}

func hostPrefixes(addrs []netip.Addr) []netip.Prefix {
	out := make([]netip.Prefix, 0, len(addrs))
	for _, a := range addrs {
		out = append(out, netip.PrefixFrom(a, a.BitLen()))
	}
	return out
}

// route makes all routes follow the router and the links that exist. Attaching and detaching an ENI keep its own
// routes themselves, so this is for what is left.
func (v *vpc) route() error {
	if v.routed {
		return nil
	}
	links, err := v.link.List()
	if err != nil {
		return err
	}
	if err := route.Apply(v.link, v.router.Routes, v.router.Interfaces, v.router.Policy, links); err != nil {
		return err
	}
	v.routed = true
	return nil
}

// setGateway makes or removes the link to the edge.
func (v *vpc) setGateway(want bool) error {
	if !want {
		if !v.gateway {
			return nil
		}
		v.n.rtnl.Lock()
		defer v.n.rtnl.Unlock()
		v.routed = false
		if err := v.link.Delete(fabric.GatewayIf); err != nil {
			return err
		}
		v.gateway = false
		return nil
	}
	if v.gateway && v.n.edge.hasLink(v.id) {
		return nil
	}
	v.n.rtnl.Lock()
	defer v.n.rtnl.Unlock()
	v.routed = false
	if err := v.n.edge.connect(v); err != nil {
		return err
	}
	v.gateway, v.published = true, false
	return nil
}

// remove takes everything of the VPC away.
func (v *vpc) remove() error {
	name := model.VPCNetns(v.id)
	if v.ns == nil {
		ns, err := netns.Open(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		if err == nil {
			v.ns = ns
			if v.link, err = link.Open(ns); err != nil {
				return err
			}
		}
	}
	for id := range v.nats {
		if err := netns.Delete(model.NatNetns(id)); err != nil {
			return err
		}
		delete(v.nats, id)
	}
	if v.ns != nil {
		// Links first: with the namespace they would go some time later, and their far ends with them.
		if err := v.deleteLinks(); err != nil {
			return err
		}
	}
	v.close()
	if err := netns.Delete(name); err != nil {
		return err
	}
	v.n.mu.Lock()
	delete(v.n.vpcs, v.id)
	v.n.mu.Unlock()
	return v.n.edge.apply()
}

func (v *vpc) deleteLinks() error {
	v.n.rtnl.Lock()
	defer v.n.rtnl.Unlock()
	links, err := v.link.List()
	if err != nil {
		return err
	}
	for link := range links {
		if model.IsVethName(link) || link == fabric.GatewayIf {
			if err := v.link.Delete(link); err != nil {
				return err
			}
		}
	}
	return nil
}

// close gives the sockets back and forgets what was known.
func (v *vpc) close() {
	if v.nft != nil {
		v.nft.Close()
	}
	if v.link != nil {
		v.link.Close()
	}
	if v.ns != nil {
		v.ns.Close()
	}
	v.ns, v.link, v.nft, v.router, v.enis = nil, nil, nil, nil, nil
	v.wired, v.nats = map[string]bool{}, map[string]bool{}
	v.routed, v.adopted, v.gateway, v.published, v.revision = false, false, false, false, 0
}

// edgeLink is the edge's end of the VPC's link.
func (v *vpc) edgeLink() string { return fabricedge.LinkName(v.id) }
