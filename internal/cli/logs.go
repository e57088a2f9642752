package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs"
	logtypes "github.com/aws/aws-sdk-go-v2/service/cloudwatchlogs/types"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/neargate/neargate/internal/model"
)

// Logs prints the log events of a log group, a service, a task or a stack, in the order of their time.
type Logs struct {
	Client *Client
	Screen *Screen
	Name   string
	Since  string // duration, or a time in RFC 3339; empty: ten minutes
	Filter string // CloudWatch Logs filter pattern
	Follow bool
	Every  time.Duration
	Now    func() time.Time
}

// logSource is a log group, or the streams of it that begin with a prefix.
type logSource struct {
	group  string
	prefix string // of stream names; empty: all
}

const (
	sinceUsual = 10 * time.Minute
	// lateMost is how far back is looked again while following: events of several streams do not arrive in order.
	lateMost    = 10 * time.Second
	followEvery = 500 * time.Millisecond
)

// Run prints.
func (l *Logs) Run(ctx context.Context) error {
	if l.Now == nil {
		l.Now = time.Now
	}
	if l.Every == 0 {
		l.Every = followEvery
	}
	since, err := parseSince(l.Since, l.Now())
	if err != nil {
		return err
	}
	err = l.run(ctx, since)
	if errors.Is(err, context.Canceled) && l.Follow {
		return nil // the usual end of following
	}
	return Explain(err, l.Client.Endpoint)
}

func (l *Logs) run(ctx context.Context, since time.Time) error {
	sources, err := l.sources(ctx)
	if err != nil {
		return err
	}
	if len(sources) == 0 {
		return Failed("Its containers have to have the log driver awslogs.", "%s writes to no log group", l.Name)
	}
	seen := newSeen()
	for {
		events, err := l.read(ctx, sources, since)
		if err != nil && !(l.Follow && unreachable(err)) { // the daemon may be restarting
			return err
		}
		for _, e := range events {
			if seen.add(&e) {
				l.print(&e)
			}
		}
		if !l.Follow {
			return nil
		}
		if newest := seen.newest.Add(-lateMost); newest.After(since) {
			since = newest
			seen.forget(since)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(l.Every):
		}
	}
}

// logEvent is an event with where it is from.
type logEvent struct {
	group string
	logtypes.FilteredLogEvent
}

func (e *logEvent) at() time.Time { return time.UnixMilli(aws.ToInt64(e.Timestamp)) }

// read returns the events of all sources since a time, sorted.
func (l *Logs) read(ctx context.Context, sources []logSource, since time.Time) (events []logEvent, err error) {
	for _, src := range sources {
		in := &cloudwatchlogs.FilterLogEventsInput{LogGroupName: aws.String(src.group), StartTime: aws.Int64(since.UnixMilli())}
		if src.prefix != "" {
			in.LogStreamNamePrefix = aws.String(src.prefix)
		}
		if l.Filter != "" {
			in.FilterPattern = aws.String(l.Filter)
		}
		pages := cloudwatchlogs.NewFilterLogEventsPaginator(l.Client.Logs, in)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				var missing *logtypes.ResourceNotFoundException
				if errors.As(err, &missing) && l.Follow {
					break // made by its first task
				}
				return nil, err
			}
			for _, e := range page.Events {
				events = append(events, logEvent{group: src.group, FilteredLogEvent: e})
			}
		}
	}
	slices.SortStableFunc(events, func(a, b logEvent) int {
		return cmp.Or(cmp.Compare(aws.ToInt64(a.Timestamp), aws.ToInt64(b.Timestamp)), strings.Compare(aws.ToString(a.LogStreamName), aws.ToString(b.LogStreamName)))
	})
	return events, nil
}

func (l *Logs) print(e *logEvent) {
	text := strings.TrimRight(aws.ToString(e.Message), "\r\n")
	if l.Screen.Terminal {
		text = printable(text)
	}
	stream := shortStream(aws.ToString(e.LogStreamName))
	l.Screen.Printf("%s %s  %s\n", l.Screen.Paint(Faint, e.at().Local().Format("15:04:05.000")), l.Screen.Paint(streamTone(stream), stream), text)
}

// shortStream shortens the name of a task's stream: prefix/container/task to container/the first digits of the task.
func shortStream(name string) string {
	parts := strings.Split(name, "/")
	if n := len(parts); n >= 3 && len(parts[n-1]) == 32 {
		return parts[n-2] + "/" + parts[n-1][:8]
	}
	return name
}

// streamTone gives each stream a colour, so that interleaved ones can be told apart.
func streamTone(stream string) Tone {
	tones := []Tone{"36", "33", "35", "34", "32", "96", "93", "95"}
	sum := 0
	for _, c := range stream {
		sum = (sum*31 + int(c)) & 0xffff
	}
	return tones[sum%len(tones)]
}

// seen remembers which events were printed.
type seen struct {
	at     map[string]time.Time
	newest time.Time
}

func newSeen() *seen { return &seen{at: map[string]time.Time{}} }

// add reports whether the event is new.
func (s *seen) add(e *logEvent) bool {
	key := e.group + "|" + aws.ToString(e.LogStreamName) + "|" + aws.ToString(e.EventId)
	if _, old := s.at[key]; old {
		return false
	}
	s.at[key] = e.at()
	if e.at().After(s.newest) {
		s.newest = e.at()
	}
	return true
}

// forget drops what cannot come again.
func (s *seen) forget(before time.Time) {
	for key, at := range s.at {
		if at.Before(before) {
			delete(s.at, key)
		}
	}
}

// parseSince reads how far back is meant.
func parseSince(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now.Add(-sinceUsual), nil
	}
	if days, ok := strings.CutSuffix(text, "d"); ok {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 {
			return now.AddDate(0, 0, -n), nil
		}
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	if t, err := time.Parse(time.RFC3339, text); err == nil {
		return t, nil
	}
	return time.Time{}, Usage("--since %q: say 30s, 10m, 2h, 1d or a time like 2026-01-02T15:04:05Z", text)
}

// sources finds out what the name means: a log group, a stack, a service or a task, tried in this order.
func (l *Logs) sources(ctx context.Context) ([]logSource, error) {
	groups, err := l.Client.Logs.DescribeLogGroups(ctx, &cloudwatchlogs.DescribeLogGroupsInput{LogGroupNamePrefix: &l.Name})
	if err != nil && apiCode(err) != "InvalidParameterException" { // no group can have such a name
		return nil, err
	}
	if groups != nil {
		for _, g := range groups.LogGroups {
			if aws.ToString(g.LogGroupName) == l.Name {
				return []logSource{{group: l.Name}}, nil
			}
		}
	}
	stack, err := findStack(ctx, l.Client.CloudFormation, l.Name)
	if err != nil && apiCode(err) != "ValidationError" {
		return nil, err
	}
	if stack != nil {
		if sources, err := l.ofStack(ctx, aws.ToString(stack.StackId)); err != nil || len(sources) > 0 {
			return sources, err
		}
	}
	f, err := loadFleet(ctx, l.Client.ECS)
	if err != nil {
		return nil, err
	}
	service, err := f.service(l.Name)
	if err != nil {
		return nil, err
	}
	if service != nil {
		return l.ofService(ctx, service)
	}
	task, err := f.task(l.Name)
	if err != nil {
		return nil, err
	}
	if task != nil {
		return l.ofDefinition(ctx, aws.ToString(task.TaskDefinitionArn), model.LastSegment(aws.ToString(task.TaskArn)))
	}
	if stack != nil {
		return nil, nil
	}
	return nil, Failed("`neargate status` lists what there is.", "there is no log group, stack, service or task %q", l.Name)
}

// ofStack returns the log groups that are part of a stack, and those that its services write to.
func (l *Logs) ofStack(ctx context.Context, stack string) (sources []logSource, err error) {
	groups, err := physicalIDs(ctx, l.Client.CloudFormation, stack, "AWS::Logs::LogGroup")
	if err != nil {
		return nil, err
	}
	for _, g := range groups {
		sources = append(sources, logSource{group: g})
	}
	services, err := physicalIDs(ctx, l.Client.CloudFormation, stack, "AWS::ECS::Service")
	if err != nil || len(services) == 0 {
		return sources, err
	}
	f, err := loadFleet(ctx, l.Client.ECS)
	if err != nil {
		return nil, err
	}
	for _, arn := range services {
		service, err := f.service(arn)
		if err != nil || service == nil {
			return sources, err
		}
		more, err := l.ofService(ctx, service)
		if err != nil {
			return nil, err
		}
		for _, src := range more {
			if !slices.Contains(groups, src.group) {
				sources = append(sources, src)
			}
		}
	}
	return sources, nil
}

// ofService returns where the service's deployments log.
func (l *Logs) ofService(ctx context.Context, s *ecstypes.Service) (sources []logSource, err error) {
	definitions := []string{aws.ToString(s.TaskDefinition)}
	for _, d := range s.Deployments {
		if arn := aws.ToString(d.TaskDefinition); !slices.Contains(definitions, arn) {
			definitions = append(definitions, arn)
		}
	}
	for _, arn := range definitions {
		found, err := l.ofDefinition(ctx, arn, "")
		if err != nil {
			return nil, err
		}
		for _, src := range found {
			if !slices.Contains(sources, src) {
				sources = append(sources, src)
			}
		}
	}
	return sources, nil
}

// ofDefinition returns where the containers of a task definition log; with a task, only that task's streams.
func (l *Logs) ofDefinition(ctx context.Context, definition, task string) (sources []logSource, err error) {
	out, err := l.Client.ECS.DescribeTaskDefinition(ctx, &ecs.DescribeTaskDefinitionInput{TaskDefinition: &definition})
	if err != nil {
		return nil, fmt.Errorf("read where %s logs: %w", definition, err)
	}
	for _, c := range out.TaskDefinition.ContainerDefinitions {
		if c.LogConfiguration == nil || c.LogConfiguration.LogDriver != ecstypes.LogDriverAwslogs {
			continue
		}
		options := c.LogConfiguration.Options
		src := logSource{group: options["awslogs-group"]}
		if prefix := options["awslogs-stream-prefix"]; prefix != "" {
			src.prefix = prefix + "/" + aws.ToString(c.Name) + "/"
			if task != "" {
				src.prefix += task
			}
		}
		sources = append(sources, src)
	}
	return sources, nil
}
