package codegen

import "strings"

// imports returns the import declaration that the body needs.
func imports(body string) string {
	var std, own []string
	if strings.Contains(body, "context.") {
		std = append(std, `"context"`)
	}
	if strings.Contains(body, "time.Time") {
		std = append(std, `"time"`)
	}
	if strings.Contains(body, "awsapi.") {
		own = append(own, `"github.com/neargate/neargate/internal/awsapi"`)
	}
	if len(std)+len(own) == 0 {
		return ""
	}
	return "import (\n" + strings.Join(std, "\n") + "\n\n" + strings.Join(own, "\n") + "\n)\n\n"
}
