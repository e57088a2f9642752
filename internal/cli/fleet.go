package cli

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ecs"
	ecstypes "github.com/aws/aws-sdk-go-v2/service/ecs/types"

	"github.com/neargate/neargate/internal/model"
)

// fleet is what runs in ECS: all services and tasks of all clusters.
type fleet struct {
	services []ecstypes.Service
	tasks    []ecstypes.Task // those that run or shall run, then those that stopped, newest first
}

// loadFleet reads everything.
func loadFleet(ctx context.Context, api ECSAPI) (*fleet, error) {
	clusters, err := listClusters(ctx, api)
	if err != nil {
		return nil, err
	}
	f := &fleet{}
	for _, cluster := range clusters {
		services, err := listServices(ctx, api, cluster)
		if err != nil {
			return nil, err
		}
		f.services = append(f.services, services...)
		for _, desired := range []ecstypes.DesiredStatus{ecstypes.DesiredStatusRunning, ecstypes.DesiredStatusStopped} {
			tasks, err := listTasks(ctx, api, &ecs.ListTasksInput{Cluster: aws.String(cluster), DesiredStatus: desired})
			if err != nil {
				return nil, err
			}
			f.tasks = append(f.tasks, tasks...)
		}
	}
	slices.SortStableFunc(f.tasks, compareTasks)
	return f, nil
}

// compareTasks puts tasks that live first, by cluster, group and age, then the dead, last one first.
func compareTasks(a, b ecstypes.Task) int {
	if c := compareBool(isStopped(&a), isStopped(&b)); c != 0 {
		return c
	}
	if isStopped(&a) {
		return aws.ToTime(b.StoppedAt).Compare(aws.ToTime(a.StoppedAt))
	}
	return cmp.Or(strings.Compare(aws.ToString(a.ClusterArn), aws.ToString(b.ClusterArn)), strings.Compare(aws.ToString(a.Group), aws.ToString(b.Group)),
		aws.ToTime(a.CreatedAt).Compare(aws.ToTime(b.CreatedAt)), strings.Compare(aws.ToString(a.TaskArn), aws.ToString(b.TaskArn)))
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

func isStopped(t *ecstypes.Task) bool { return aws.ToString(t.LastStatus) == "STOPPED" }

func listClusters(ctx context.Context, api ECSAPI) (arns []string, err error) {
	pages := ecs.NewListClustersPaginator(api, &ecs.ListClustersInput{})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		arns = append(arns, page.ClusterArns...)
	}
	slices.Sort(arns)
	return arns, nil
}

func listServices(ctx context.Context, api ECSAPI, cluster string) (list []ecstypes.Service, err error) {
	const most = 10 // of one DescribeServices
	pages := ecs.NewListServicesPaginator(api, &ecs.ListServicesInput{Cluster: &cluster, MaxResults: aws.Int32(100)})
	var arns []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		arns = append(arns, page.ServiceArns...)
	}
	slices.Sort(arns)
	for part := range slices.Chunk(arns, most) {
		out, err := api.DescribeServices(ctx, &ecs.DescribeServicesInput{Cluster: &cluster, Services: part})
		if err != nil {
			return nil, err
		}
		list = append(list, out.Services...)
	}
	return list, nil
}

func listTasks(ctx context.Context, api ECSAPI, in *ecs.ListTasksInput) (list []ecstypes.Task, err error) {
	const most = 100 // of one DescribeTasks
	pages := ecs.NewListTasksPaginator(api, in)
	var arns []string
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return nil, err
		}
		arns = append(arns, page.TaskArns...)
	}
	for part := range slices.Chunk(arns, most) {
		out, err := api.DescribeTasks(ctx, &ecs.DescribeTasksInput{Cluster: in.Cluster, Tasks: part})
		if err != nil {
			return nil, err
		}
		list = append(list, out.Tasks...)
	}
	return list, nil
}

// service finds a service by ARN, cluster/name or name; nil if there is none.
func (f *fleet) service(name string) (*ecstypes.Service, error) {
	var found []*ecstypes.Service
	for i := range f.services {
		s := &f.services[i]
		full := model.LastSegment(aws.ToString(s.ClusterArn)) + "/" + aws.ToString(s.ServiceName)
		if name == aws.ToString(s.ServiceArn) || name == full || name == aws.ToString(s.ServiceName) {
			found = append(found, s)
		}
	}
	if len(found) > 1 {
		var names []string
		for _, s := range found {
			names = append(names, model.LastSegment(aws.ToString(s.ClusterArn))+"/"+aws.ToString(s.ServiceName))
		}
		return nil, Usage("several clusters have a service %s: say which (%s)", name, strings.Join(names, ", "))
	}
	if len(found) == 0 {
		return nil, nil
	}
	return found[0], nil
}

// minPrefix is how many digits of a task's identifier are taken for one.
const minPrefix = 4

// task finds a task by ARN, identifier or the beginning of it; nil if there is none. A running one wins over those that stopped.
func (f *fleet) task(name string) (*ecstypes.Task, error) {
	id := model.LastSegment(name)
	if len(id) < minPrefix || strings.Trim(id, "0123456789abcdef") != "" {
		return nil, nil
	}
	var found []*ecstypes.Task
	for i := range f.tasks {
		t := &f.tasks[i]
		if strings.HasPrefix(model.LastSegment(aws.ToString(t.TaskArn)), id) && (len(found) == 0 || !isStopped(t)) {
			found = append(found, t)
		}
	}
	switch len(found) {
	case 0:
		return nil, nil
	case 1:
		return found[0], nil
	}
	return nil, Usage("%d tasks begin with %s: use more of the identifier", len(found), id)
}

// tasksOf returns the tasks of a service that are not stopped.
func (f *fleet) tasksOf(s *ecstypes.Service) (list []*ecstypes.Task) {
	for i := range f.tasks {
		t := &f.tasks[i]
		if !isStopped(t) && aws.ToString(t.ClusterArn) == aws.ToString(s.ClusterArn) && aws.ToString(t.Group) == "service:"+aws.ToString(s.ServiceName) {
			list = append(list, t)
		}
	}
	return list
}

// taskDetail returns a detail of the task's network attachment.
func taskDetail(t *ecstypes.Task, name string) string {
	for _, a := range t.Attachments {
		for _, d := range a.Details {
			if aws.ToString(d.Name) == name {
				return aws.ToString(d.Value)
			}
		}
	}
	return ""
}

// stopText returns why a task ended, with what its containers say.
func stopText(t *ecstypes.Task) string {
	text := aws.ToString(t.StoppedReason)
	if text == "" {
		text = string(t.StopCode)
	}
	for _, c := range t.Containers {
		switch {
		case aws.ToString(c.Reason) != "" && !strings.Contains(text, *c.Reason):
			text += fmt.Sprintf("; %s: %s", aws.ToString(c.Name), *c.Reason)
		case c.ExitCode != nil && *c.ExitCode != 0:
			text += fmt.Sprintf("; %s: exit code %d", aws.ToString(c.Name), *c.ExitCode)
		}
	}
	return printable(text)
}

// stopReasons returns why the last tasks of a service ended, without repetitions.
func stopReasons(ctx context.Context, api ECSAPI, serviceARN string) (reasons []string, err error) {
	const most = 3
	arn, ok := model.ParseARN(serviceARN)
	parts := strings.Split(arn.Resource, "/")
	if !ok || len(parts) != 3 {
		return nil, nil
	}
	tasks, err := listTasks(ctx, api, &ecs.ListTasksInput{
		Cluster: &parts[1], ServiceName: &parts[2], DesiredStatus: ecstypes.DesiredStatusStopped,
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(tasks, func(a, b ecstypes.Task) int { return aws.ToTime(a.StoppedAt).Compare(aws.ToTime(b.StoppedAt)) })
	for i := range tasks {
		// A task that the scheduler ended during the rollback is a consequence, not a cause.
		if tasks[i].StopCode == ecstypes.TaskStopCodeServiceSchedulerInitiated {
			continue
		}
		if text := stopText(&tasks[i]); !slices.Contains(reasons, text) && len(reasons) < most {
			reasons = append(reasons, text)
		}
	}
	return reasons, nil
}

// ago writes how long a moment is past.
func ago(now, then time.Time) string { return age(now.Sub(then)) + " ago" }
