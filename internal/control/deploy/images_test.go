package deploy

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/neargate/neargate/internal/model"
)

func TestImagesAreBound(t *testing.T) {
	task := func(deployment string, digests ...string) *model.Task {
		t := &model.Task{DeploymentID: deployment}
		for i, d := range digests {
			t.Containers = append(t.Containers, model.ContainerStatus{Name: string(rune('a' + i)), ImageDigest: d})
		}
		return t
	}
	deployments := []model.Deployment{{ID: "new", Images: map[string]string{"a": "1"}}, {ID: "old"}}
	got := newImages([]*model.Task{task("old", "x", "y", "z"), task("new", "2", ""), task("new", "3", "4"), task("new", "5", "6")}, deployments)
	if diff := cmp.Diff(map[string]string{"b": "4"}, got); diff != "" {
		t.Error(diff)
	}
	bindImages(&deployments[0], got)
	if diff := cmp.Diff(map[string]string{"a": "1", "b": "4"}, deployments[0].Images); diff != "" {
		t.Error(diff)
	}
	definition := &model.TaskDefinition{Family: "web", Revision: 1, Containers: []model.ContainerDefinition{{Name: "a", Image: "web:1"}, {Name: "b", Image: "log:1", FloatingImage: true}}}
	made := model.NewTask(model.TaskSpec{Definition: definition, Images: deployments[0].Images})
	if made.Containers[0].ImageDigest != "1" || made.Containers[1].ImageDigest != "" {
		t.Errorf("a new task is bound to %+v", made.Containers)
	}
}
