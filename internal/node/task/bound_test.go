package task

import (
	"testing"

	"github.com/neargate/neargate/internal/model"
)

// A task that its deployment has bound to a digest runs that image, wherever the tag leads by now: here it is gone.
func TestBoundImage(t *testing.T) {
	w := newWorld(t, nil)
	w.run()
	c := app("app", "sleep")
	c.Image = hub + "/web:gone"
	id := w.launchAs(func(t *model.Task, _ *model.TaskDefinition) {
		t.Containers = []model.ContainerStatus{{Name: "app", Image: c.Image, ImageDigest: w.image.Manifest.Digest}}
	}, c)
	if running := w.awaitState(id, model.TaskRunning); running.Containers[0].ImageDigest != w.image.Manifest.Digest || running.Containers[0].Image != c.Image {
		t.Errorf("container is %+v", running.Containers[0])
	}
	w.askToStop(id)
	w.awaitState(id, model.TaskStopped)
	loose := w.launch(c)
	if stopped := w.awaitState(loose, model.TaskStopped); stopped.StopCode != model.StopTaskFailedToStart {
		t.Errorf("a task without a digest: %+v", stopped)
	}
}
