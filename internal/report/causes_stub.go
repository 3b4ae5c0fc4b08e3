package report

func causeText(id string, lang Lang) (title, why string, fixes []string) { return "", "", nil }
