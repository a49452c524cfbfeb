"""What floodloom depends on: licences, vulnerabilities, a bill of materials (`make audit`)."""
