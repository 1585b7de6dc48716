package main

import _ "embed"

// usage is what help prints.
//
//go:embed help.txt
var usage string
