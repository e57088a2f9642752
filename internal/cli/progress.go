package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	cfn "github.com/aws/aws-sdk-go-v2/service/cloudformation/types"
)

// progress shows the events of a stack: on a terminal a line per finished resource, and below it what is under way with
// its age; elsewhere a line per event.
type progress struct {
	screen *Screen
	now    func() time.Time
	start  time.Time
	busy   []*step // in the order in which they began
	extra  string
}

// step is a resource that something is being done to.
type step struct {
	id, kind, doing string
	since           time.Time
}

func newProgress(s *Screen, now func() time.Time) *progress {
	return &progress{screen: s, now: now, start: now()}
}

// show adds events and paints the live part anew.
func (p *progress) show(events []cfn.StackEvent) {
	p.extra = ""
	for i := range events {
		p.add(&events[i])
	}
	p.paint()
}

// note says something that is no event.
func (p *progress) note(text string) {
	p.extra = text
	if !p.screen.Terminal {
		p.screen.Printf("%s\n", text)
	}
	p.paint()
}

// finish removes the live part.
func (p *progress) finish() {
	p.busy, p.extra = nil, ""
	p.screen.Live(nil)
}

func (p *progress) add(e *cfn.StackEvent) {
	id, kind, status := aws.ToString(e.LogicalResourceId), aws.ToString(e.ResourceType), string(e.ResourceStatus)
	reason := aws.ToString(e.ResourceStatusReason)
	at := p.now()
	if e.Timestamp != nil {
		at = *e.Timestamp
	}
	current := p.find(id)
	if strings.HasSuffix(status, "_IN_PROGRESS") {
		if current == nil {
			current = &step{id: id, kind: kind, since: at}
			p.busy = append(p.busy, current)
		} else if current.doing == status && reason != "" { // "Resource creation Initiated": nothing new
			return
		}
		if current.doing != status {
			current.since = at
		}
		current.doing = status
		if kind == stackType && strings.Contains(status, "ROLLBACK") {
			p.line(at, "", id, kind, status, reason)
		} else if !p.screen.Terminal {
			p.line(at, "", id, kind, status, reason)
		}
		return
	}
	took := ""
	if current != nil {
		took = age(at.Sub(current.since))
		p.drop(current)
	}
	p.line(at, took, id, kind, status, reason)
}

// line writes what has happened.
func (p *progress) line(at time.Time, took, id, kind, status, reason string) {
	const statusWidth = 20
	text := p.screen.Paint(toneOf(status), fmt.Sprintf("%-*s", statusWidth, status)) + " " + id + " " + p.screen.Paint(Faint, "("+kind+")")
	if took != "" {
		text += " " + p.screen.Paint(Faint, took)
	}
	if reason != "" && toneOf(status) != Good {
		text += ": " + printable(reason)
	}
	p.screen.Printf("%s  %s\n", p.screen.Paint(Faint, at.Local().Format(time.TimeOnly)), text)
}

func (p *progress) paint() {
	if !p.screen.Terminal {
		return
	}
	var lines []string
	now := p.now()
	for _, s := range p.busy {
		if s.kind == stackType {
			continue
		}
		lines = append(lines, fmt.Sprintf("  %s %s %s %s", p.screen.Paint(Busy, verb(s.doing)), s.id, p.screen.Paint(Faint, "("+s.kind+")"), age(now.Sub(s.since))))
	}
	total := p.screen.Paint(Faint, fmt.Sprintf("  %s so far", age(now.Sub(p.start))))
	if p.extra != "" {
		total = p.screen.Paint(Busy, "  "+p.extra)
	}
	p.screen.Live(append(lines, total))
}

func (p *progress) find(id string) *step {
	for _, s := range p.busy {
		if s.id == id {
			return s
		}
	}
	return nil
}

func (p *progress) drop(gone *step) {
	for i, s := range p.busy {
		if s == gone {
			p.busy = append(p.busy[:i], p.busy[i+1:]...)
			return
		}
	}
}

// toneOf returns what a status of a stack or resource means.
func toneOf(status string) Tone {
	switch {
	case strings.Contains(status, "FAILED"), strings.Contains(status, "ROLLBACK"):
		return Bad
	case strings.HasSuffix(status, "_IN_PROGRESS"):
		return Busy
	case strings.HasSuffix(status, "_COMPLETE"):
		return Good
	}
	return Faint
}

// verb turns CREATE_IN_PROGRESS into "creating".
func verb(status string) string {
	switch strings.TrimSuffix(status, "_IN_PROGRESS") {
	case "CREATE":
		return "creating"
	case "UPDATE":
		return "updating"
	case "DELETE":
		return "deleting"
	}
	return strings.ToLower(strings.ReplaceAll(strings.TrimSuffix(status, "_IN_PROGRESS"), "_", " "))
}

// age writes a duration as people do: 0.4s, 12s, 3m05s, 2h10m, 3d.
func age(d time.Duration) string {
	switch {
	case d < 0:
		return "0s"
	case d < 10*time.Second:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Minute:
		return fmt.Sprintf("%.0fs", d.Truncate(time.Second).Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
