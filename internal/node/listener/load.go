package listener

import (
	"slices"

	"github.com/neargate/neargate/internal/model"
	"github.com/neargate/neargate/internal/store"
)

// load reads everything of a load balancer as of one moment; ok is false if it does not exist or is another host's.
func (l *Listeners) load(r store.Reader, id string) (recs records, ok bool) {
	lb, ok := l.tables.LoadBalancers.FirstBy(r, "id", id)
	if !ok || !l.isHere(lb) {
		return records{}, false
	}
	recs = records{lb: lb, health: map[string]*model.TargetHealth{}}
	groups := map[string]bool{}
	use := func(actions []model.Action) {
		for _, a := range actions {
			if a.Forward == nil {
				continue
			}
			for _, g := range a.Forward.Groups {
				groups[g.TargetGroupARN] = true
			}
		}
	}
	for listener := range l.tables.Listeners.By(r, "load-balancer", lb.ARN) {
		recs.listeners = append(recs.listeners, listener)
		use(listener.DefaultActions)
		for rule := range l.tables.Rules.By(r, "listener", listener.ARN) {
			recs.rules = append(recs.rules, rule)
			use(rule.Actions)
		}
	}
	for arn := range groups {
		g, ok := l.tables.TargetGroups.Get(r, arn)
		if !ok {
			continue
		}
		recs.groups = append(recs.groups, g)
		recs.targets = slices.AppendSeq(recs.targets, l.tables.Targets.By(r, "target-group", arn))
		for h := range l.tables.TargetHealth.By(r, "target-group", arn) {
			recs.health[h.Key()] = h
		}
	}
	return recs, true
}

// isHere reports whether this host makes the load balancer so. One without a host is made by the only one there is.
func (l *Listeners) isHere(lb *model.LoadBalancer) bool {
	return lb.Host == "" || lb.Host == l.cfg.Host
}

// balancerOf returns the load balancer of a listener or rule: the ARN holds it, so it is known after their end too.
func balancerOf(listenerOrRuleARN string) string {
	a, ok := model.ParseARN(listenerOrRuleARN)
	if !ok {
		return ""
	}
	parts := splitResource(a.Resource) // listener[-rule] / app / name / balancer / ...
	if len(parts) < 4 {
		return ""
	}
	return parts[3]
}

// ofGroup returns the load balancers that use a target group.
func (l *Listeners) ofGroup(arn string) []string {
	view := l.db.View()
	var ids []string
	add := func(id string) {
		if id != "" && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	for listener := range l.tables.Listeners.By(view, "target-group", arn) {
		add(balancerOf(listener.ARN))
	}
	for rule := range l.tables.Rules.By(view, "target-group", arn) {
		add(balancerOf(rule.ARN))
	}
	return ids
}
