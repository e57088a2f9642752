package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

const (
	shortID     = 12 // digits of a task's identifier that are shown
	stoppedMost = 5  // stopped tasks that are shown
)

// render returns the overview for people.
func (o *Overview) render(s *Screen, now time.Time) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s  account %s\n", s.Paint(Strong, "Neargate "+o.Endpoint), o.Region, o.Account)
	section := func(title, text string) {
		if text != "" {
			fmt.Fprintf(&b, "\n%s\n%s", s.Paint(Strong, title), text)
		}
	}
	section("Stacks", o.stacks(s))
	section("VPCs", o.vpcs(s))
	section("Load balancers", o.balancers(s))
	section("Services", o.services(s, now))
	section("Tasks", o.tasks(s, now))
	if len(o.Stacks)+len(o.LoadBalancers)+len(o.Services)+len(o.Tasks) == 0 {
		b.WriteString("\nNothing is deployed. Try `neargate up TEMPLATE`, or `eval \"$(neargate env)\"` and then aws or terraform.\n")
	}
	return b.String()
}

func (o *Overview) stacks(s *Screen) string {
	t := &table{indent: "  "}
	for _, st := range o.Stacks {
		t.row(st.Name, s.Paint(toneOf(st.Status), st.Status), printable(st.Reason))
	}
	return t.String()
}

func (o *Overview) vpcs(s *Screen) string {
	t := &table{indent: "  "}
	for _, v := range o.VPCs {
		text := plural(v.Subnets, "subnet")
		if len(v.Zones) > 0 {
			text += " in " + strings.Join(v.Zones, ", ")
		}
		if v.NATGateways > 0 {
			text += ", " + plural(v.NATGateways, "NAT gateway")
		}
		t.row(v.ID, printable(v.Name), v.CIDR, s.Paint(Faint, text+", "+plural(v.Interfaces, "interface")))
	}
	return t.String()
}

func (o *Overview) balancers(s *Screen) string {
	var b strings.Builder
	for i := range o.LoadBalancers {
		lb := &o.LoadBalancers[i]
		fmt.Fprintf(&b, "  %s  %s  %s  %s\n", lb.Name, lb.Scheme, s.Paint(balancerTone(lb.State), lb.State), lb.text(s))
		for _, g := range lb.TargetGroups {
			fmt.Fprintf(&b, "    %s: %s\n", g.Name, summary(s, g.Targets))
			t := &table{indent: "      "}
			for _, target := range g.Targets {
				why := target.Reason
				if target.Text != "" {
					why = strings.TrimSpace(why + " " + s.Paint(Faint, "("+printable(target.Text)+")"))
				}
				t.row(target.ID+":"+strconv.Itoa(target.Port), target.AZ, s.Paint(targetTone(target.State), target.State), why)
			}
			b.WriteString(t.String())
		}
	}
	return b.String()
}

// summary counts targets by state.
func summary(s *Screen, targets []TargetView) string {
	if len(targets) == 0 {
		return s.Paint(Faint, "no targets")
	}
	var order []string
	count := map[string]int{}
	for _, t := range targets {
		if count[t.State] == 0 {
			order = append(order, t.State)
		}
		count[t.State]++
	}
	var parts []string
	for _, state := range order {
		parts = append(parts, fmt.Sprintf("%d %s", count[state], s.Paint(targetTone(state), state)))
	}
	return strings.Join(parts, ", ")
}

func (o *Overview) services(s *Screen, now time.Time) string {
	var b strings.Builder
	for i := range o.Services {
		sv := &o.Services[i]
		tone := Good
		if sv.Running != sv.Desired || sv.Status != "ACTIVE" {
			tone = Busy
		}
		counts := s.Paint(tone, fmt.Sprintf("%d/%d running", sv.Running, sv.Desired))
		if sv.Pending > 0 {
			counts += fmt.Sprintf(", %d pending", sv.Pending)
		}
		fmt.Fprintf(&b, "  %s/%s  %s  %s\n", sv.Cluster, sv.Name, sv.Status, counts)
		t := &table{indent: "    "}
		for _, d := range sv.Deployments {
			failed := ""
			if d.Failed > 0 {
				failed = s.Paint(Bad, fmt.Sprintf("%d failed", d.Failed))
			}
			reason := ""
			if d.Rollout != "COMPLETED" {
				reason = printable(d.Reason)
			}
			t.row(d.Status, d.Definition, s.Paint(rolloutTone(d.Rollout), d.Rollout), fmt.Sprintf("%d/%d", d.Running, d.Desired), failed, reason)
		}
		b.WriteString(t.String())
		if sv.LastEvent != "" && sv.LastEventAt != nil {
			fmt.Fprintf(&b, "    %s %s\n", s.Paint(Faint, ago(now, *sv.LastEventAt)+":"), printable(sv.LastEvent))
		}
	}
	return b.String()
}

func (o *Overview) tasks(s *Screen, now time.Time) string {
	t := &table{indent: "  "}
	stopped := 0
	for i := range o.Tasks {
		task := &o.Tasks[i]
		id := task.ID
		if len(id) > shortID {
			id = id[:shortID]
		}
		state, since := s.Paint(stateTone(task.State), task.State), ""
		switch {
		case task.State == "STOPPED":
			if stopped++; stopped > stoppedMost {
				continue
			}
			if task.StoppedAt != nil {
				since = ago(now, *task.StoppedAt)
			}
		case task.StartedAt != nil:
			since = "up " + age(now.Sub(*task.StartedAt))
		case task.CreatedAt != nil:
			since = "for " + age(now.Sub(*task.CreatedAt))
		}
		address := task.PrivateIP
		if task.Door != "" {
			address += " " + s.Paint(Link, task.Door)
		}
		if task.Health != "" {
			since += " " + task.Health
		}
		t.row(id, task.Cluster, task.Group, task.Definition, state, task.AZ, address, since, s.Paint(Bad, task.StopReason))
	}
	text := t.String()
	if more := stopped - stoppedMost; more > 0 {
		text += fmt.Sprintf("  %s\n", s.Paint(Faint, fmt.Sprintf("... and %d more that stopped (--json lists all)", more)))
	}
	return text
}

func balancerTone(state string) Tone {
	switch state {
	case "active":
		return Good
	case "failed":
		return Bad
	}
	return Busy
}

func targetTone(state string) Tone {
	switch state {
	case "healthy":
		return Good
	case "unhealthy", "unavailable":
		return Bad
	case "unused":
		return Faint
	}
	return Busy
}

func rolloutTone(state string) Tone {
	switch state {
	case "COMPLETED":
		return Good
	case "FAILED":
		return Bad
	}
	return Busy
}

func stateTone(state string) Tone {
	switch state {
	case "RUNNING":
		return Good
	case "STOPPED":
		return Faint
	}
	return Busy
}

// plural writes a count with its noun.
func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
