package listener

import (
	"context"
	"errors"

	"github.com/neargate/neargate/internal/proxy"
)

// Servers is the part of HAProxy's runtime API that changes servers; [proxy.Runtime] is one.
type Servers interface {
	Servers(ctx context.Context) ([]proxy.ServerStatus, error)
	AddServer(ctx context.Context, g proxy.Group, node string, s proxy.Server) error
	SetState(ctx context.Context, backend, server string, s proxy.State) error
	CloseSessions(ctx context.Context, backend, server string) error
	DeleteServer(ctx context.Context, backend, server string) error
}

// syncServers makes the running servers those of the description, and reports whether some could not go yet because
// connections are open. Which of the rest get requests is the keeper's matter (what the records say of health lags behind it),
// but for one thing that must not wait: a server that is to drain. A new one serves at once only if it is described so.
func syncServers(ctx context.Context, rt Servers, c proxy.Config) (busy bool, err error) {
	have, err := rt.Servers(ctx)
	if err != nil {
		return false, err
	}
	type place struct{ backend, server string }
	running := map[place]proxy.ServerStatus{}
	for _, s := range have {
		running[place{s.Backend, s.Name}] = s
	}
	wanted := map[place]bool{}
	for _, g := range c.Groups {
		for _, n := range c.Nodes {
			for _, s := range g.Servers {
				at := place{proxy.BackendName(g.Name, n.Name), s.Name()}
				wanted[at] = true
				now, ok := running[at]
				switch {
				case !ok:
					if err := rt.AddServer(ctx, g, n.Name, s); err != nil {
						return false, err
					}
					if !s.Disabled {
						err = rt.SetState(ctx, at.backend, at.server, proxy.Ready)
					}
				case s.Draining && now.State == proxy.Ready:
					err = rt.SetState(ctx, at.backend, at.server, proxy.Drain)
				}
				if err != nil {
					return false, err
				}
			}
		}
	}
	for at := range running {
		if wanted[at] {
			continue
		}
		if err := rt.CloseSessions(ctx, at.backend, at.server); err != nil { // its deregistration delay is over
			return false, err
		}
		switch err := rt.DeleteServer(ctx, at.backend, at.server); {
		case errors.Is(err, proxy.ErrBusy):
			busy = true
		case err != nil:
			return false, err
		}
	}
	return busy, nil
}
