package task

import (
	"math"
	"strings"
	"testing"

	"github.com/neargate/neargate/internal/model"
)

func TestCheckSpace(t *testing.T) {
	for _, c := range []struct {
		asked int
		free  uint64
		fine  bool
	}{{20, 0, true}, {21, 21 * gib, true}, {21, 21*gib - 1, false}, {200, 100 * gib, false}, {200, math.MaxUint64, true}} {
		if err := checkSpace(c.asked, c.free, "/x"); (err == nil) != c.fine {
			t.Errorf("%d GiB of %d bytes: %v", c.asked, c.free, err)
		}
	}
	if free, err := freeBytes(t.TempDir()); err != nil || free == 0 {
		t.Errorf("%d bytes are free: %v", free, err)
	}
}

func TestNoSpace(t *testing.T) {
	w := newWorld(t, nil)
	w.run()
	id := w.launchAs(func(t *model.Task, _ *model.TaskDefinition) { t.EphemeralGiB = math.MaxInt32 }, app("app", "sleep"))
	stopped := w.awaitState(id, model.TaskStopped)
	if stopped.StopCode != model.StopTaskFailedToStart || !strings.Contains(stopped.StoppedReason, "ephemeralStorage.sizeInGiB") {
		t.Errorf("task is %+v", stopped)
	}
	w.nothingLeft(id)
}
