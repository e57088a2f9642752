package stack

import (
	"os"
	"path/filepath"
	"testing"
)

// FuzzTemplate: no template may bring the parser, the checks or the evaluator down, whatever it says.
func FuzzTemplate(f *testing.F) {
	files, _ := filepath.Glob("testdata/widdix/*.yaml")
	for _, file := range files {
		if body, err := os.ReadFile(file); err == nil {
			f.Add(string(body))
		}
	}
	f.Add(evalTemplate)
	f.Add(`{"Resources": {"A": {"Type": "T", "Properties": {"X": {"Fn::GetAtt": "A.B"}, "Y": {"Fn::Cidr": ["::/0", 256, 128]}}}}}`)
	f.Add("Conditions: {A: !Not [!Condition A]}\nResources: {A: {Type: T, Condition: A, Properties: {X: !Sub ['${', {}]}}}")
	f.Add("Resources: {A: {Type: T, Properties: {X: !If [a], Y: !Ref {}, Z: !GetAtt [], W: !Join [], V: !Sub []}}}")
	f.Fuzz(func(t *testing.T, body string) {
		tmpl, err := Parse(body)
		if err != nil {
			return
		}
		_ = tmpl.Check(types())
		tmpl.Capabilities(types())
		values := make(map[string]string)
		for _, p := range tmpl.Parameters {
			if p.Default != nil {
				values[p.Name] = *p.Default
			}
		}
		s := &Scope{Template: tmpl, Parameters: values, Zones: []string{"a", "b"}, AllowUnknown: true, Import: func(name string) (string, bool) { return name, true }}
		_ = s.Conditions()
		_ = s.Rules()
		_, _ = Diff(s, map[string]Deployed{"A": {LogicalID: "A", PhysicalID: "a", Type: "T"}}, types())
		_, _ = MakePlan(s, nil)
		_, _ = s.Imports()
		_, _ = s.Outputs()
	})
}
