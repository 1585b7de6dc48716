package main

import (
	"encoding/xml"
	"strconv"

	"earshot/tray/settings"
)

// The parts of an ADMX file that are used here ("Group Policy ADMX syntax reference").
type definitions struct {
	XMLName    xml.Name   `xml:"http://schemas.microsoft.com/GroupPolicy/2006/07/PolicyDefinitions policyDefinitions"`
	Revision   string     `xml:"revision,attr"`
	Schema     string     `xml:"schemaVersion,attr"`
	Target     namespace  `xml:"policyNamespaces>target"`
	Resources  resources  `xml:"resources"`
	Supported  definition `xml:"supportedOn>definitions>definition"`
	Categories []category `xml:"categories>category"`
	Policies   []policy   `xml:"policies>policy"`
}

type namespace struct {
	Prefix    string `xml:"prefix,attr"`
	Namespace string `xml:"namespace,attr"`
}

type resources struct {
	Least string `xml:"minRequiredRevision,attr"`
}

type definition struct {
	Name    string `xml:"name,attr"`
	Display string `xml:"displayName,attr"`
}

type reference struct {
	Ref string `xml:"ref,attr"`
}

type category struct {
	Name    string     `xml:"name,attr"`
	Display string     `xml:"displayName,attr"`
	Parent  *reference `xml:"parentCategory"`
}

type policy struct {
	Name         string    `xml:"name,attr"`
	Class        string    `xml:"class,attr"`
	Display      string    `xml:"displayName,attr"`
	Explain      string    `xml:"explainText,attr"`
	Presentation string    `xml:"presentation,attr,omitempty"`
	Key          string    `xml:"key,attr"`
	Value        string    `xml:"valueName,attr,omitempty"`
	Parent       reference `xml:"parentCategory"`
	Supported    reference `xml:"supportedOn"`
	Enabled      *value    `xml:"enabledValue"`
	Disabled     *value    `xml:"disabledValue"`
	Elements     *elements `xml:"elements"`
}

type value struct {
	String string `xml:"string"`
}

type elements struct {
	Text *element `xml:"text"`
	Enum *element `xml:"enum"`
}

type element struct {
	ID       string `xml:"id,attr"`
	Value    string `xml:"valueName,attr"`
	Required bool   `xml:"required,attr"`
	Length   string `xml:"maxLength,attr,omitempty"`
	Items    []item `xml:"item"`
}

type item struct {
	Display string `xml:"displayName,attr"`
	Value   value  `xml:"value"`
}

// The names of what is no setting.
const (
	top, recommended, supported, managedBy = "Earshot", "Recommended", "SUPPORTED", "managed_by"
)

func text(name string) string { return "$(string." + name + ")" }

func template() definitions {
	d := definitions{
		Revision: "1.0", Schema: "1.0", Target: namespace{"earshot", "Earshot.Policies"}, Resources: resources{"1.0"},
		Supported: definition{supported, text(supported)},
		Categories: []category{
			{Name: top, Display: text(top)},
			{Name: recommended, Display: text(recommended), Parent: &reference{top}},
		},
	}
	for _, g := range settings.Groups() {
		d.Categories = append(d.Categories, category{string(g.Group), text("G_" + string(g.Group)), &reference{top}},
			category{"R_" + string(g.Group), text("G_" + string(g.Group)), &reference{recommended}})
	}
	d.Policies = append(d.Policies, policy{
		Name: managedBy, Class: "Both", Display: text(managedBy), Explain: text(managedBy + "_help"), Presentation: "$(presentation." + managedBy + ")",
		Key: lockedKey, Parent: reference{top}, Supported: reference{supported},
		Elements: &elements{Text: &element{ID: managedBy, Value: managedBy, Required: true}},
	})
	allowed(func(s *settings.Setting, name, key string) { d.Policies = append(d.Policies, policyOf(s, name, key)) })
	return d
}

func policyOf(s *settings.Setting, name, key string) policy {
	parent := string(s.Group)
	if key == recommendedKey {
		parent = "R_" + parent
	}
	p := policy{
		Name: name, Class: "Both", Display: text(name), Explain: text(name + "_help"), Key: key,
		Parent: reference{parent}, Supported: reference{supported},
	}
	e := &element{ID: name, Value: s.Name, Required: true}
	switch s.Kind {
	case settings.Switch:
		p.Value, p.Enabled, p.Disabled = s.Name, &value{"on"}, &value{"off"}
		return p
	case settings.Choice:
		for _, c := range s.Choices {
			e.Items = append(e.Items, item{text(s.Name + "_" + c.Value), value{c.Value}})
		}
		p.Elements = &elements{Enum: e}
	default: // a number may be a word
		if s.Kind == settings.Text && s.Max > 0 {
			e.Length = strconv.Itoa(s.Max)
		}
		p.Elements = &elements{Text: e}
	}
	p.Presentation = "$(presentation." + name + ")"
	return p
}
