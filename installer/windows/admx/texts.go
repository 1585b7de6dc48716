package main

import (
	"encoding/xml"

	"earshot/tray/i18n"
	"earshot/tray/settings"
)

// The parts of an ADML file that are used here.
type resourcesFile struct {
	XMLName       xml.Name       `xml:"http://schemas.microsoft.com/GroupPolicy/2006/07/PolicyDefinitions policyDefinitionResources"`
	Revision      string         `xml:"revision,attr"`
	Schema        string         `xml:"schemaVersion,attr"`
	Display       string         `xml:"displayName"`
	Description   string         `xml:"description"`
	Strings       []words        `xml:"resources>stringTable>string"`
	Presentations []presentation `xml:"resources>presentationTable>presentation"`
}

type words struct {
	ID   string `xml:"id,attr"`
	Text string `xml:",chardata"`
}

type presentation struct {
	ID   string    `xml:"id,attr"`
	Text *textBox  `xml:"textBox"`
	List *dropDown `xml:"dropdownList"`
}

type textBox struct {
	Ref   string `xml:"refId,attr"`
	Label string `xml:"label"`
}

type dropDown struct {
	Ref   string `xml:"refId,attr"`
	Label string `xml:",chardata"`
}

func texts(p *i18n.Printer) resourcesFile {
	f := resourcesFile{Revision: "1.0", Schema: "1.0", Display: "Earshot", Description: p.T("AdmxDescription")}
	add := func(id, text string) { f.Strings = append(f.Strings, words{id, text}) }
	add(top, "Earshot")
	add(recommended, p.T("AdmxRecommended"))
	add(supported, p.T("AdmxSupported"))
	add(managedBy, p.T("AdmxManagedBy"))
	add(managedBy+"_help", p.T("AdmxManagedByHelp"))
	f.Presentations = append(f.Presentations, presentation{ID: managedBy, Text: &textBox{managedBy, p.T("AdmxManagedBy")}})
	for _, g := range settings.Groups() {
		add("G_"+string(g.Group), p.T(g.Label))
	}
	named := make(map[string]bool)
	allowed(func(s *settings.Setting, name, _ string) {
		add(name, p.T(s.Label))
		add(name+"_help", p.T(s.Help))
		switch s.Kind {
		case settings.Switch:
			return
		case settings.Choice:
			f.Presentations = append(f.Presentations, presentation{ID: name, List: &dropDown{name, p.T(s.Label)}})
			for _, c := range s.Choices {
				if id := s.Name + "_" + c.Value; !named[id] {
					named[id] = true
					label := c.Value
					if c.Label != "" {
						label = p.T(c.Label)
					}
					add(id, label)
				}
			}
		default:
			f.Presentations = append(f.Presentations, presentation{ID: name, Text: &textBox{name, p.T(s.Label)}})
		}
	})
	return f
}
