package stack

// Update says what a change of a property does to a resource.
type Update int

// The kinds of updates, mildest first.
const (
	InPlace       Update = iota // "No interruption" and "Some interruptions"
	Conditionally               // the provider decides when it sees both values
	Replace                     // a new resource is made, the old one is deleted in the cleanup
)

// Property is what the engine has to know of a property of a resource type.
type Property struct {
	Required bool
	Update   Update
}

// Type is what the engine has to know of a resource type.
type Type struct {
	Name       string
	Properties map[string]Property
	Attributes []string // of Fn::GetAtt; a trailing "*" takes any suffix
	IAM        bool     // needs CAPABILITY_IAM
	NameOf     string   // the property that names an IAM resource: CAPABILITY_NAMED_IAM when it is set
}

// Types are the resource types that exist.
type Types interface {
	Lookup(name string) (*Type, bool)
}

// HasAttribute reports whether Fn::GetAtt knows the attribute.
func (t *Type) HasAttribute(name string) bool {
	for _, a := range t.Attributes {
		if a == name {
			return true
		}
		if n := len(a); n > 0 && a[n-1] == '*' && len(name) >= n-1 && name[:n-1] == a[:n-1] {
			return true
		}
	}
	return false
}
